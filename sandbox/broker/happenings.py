"""Sentences about brokers and logs for the activity stream."""

from collections.abc import Sequence

from sandbox.broker.cluster import Move
from sandbox.broker.logs.topic import Partition
from sandbox.broker.logs.turn import Turn

MOVES_TOLD = 5
"""If more leaders than this move together, one sentence summarizes them."""


def in_words(count: int, noun: str) -> str:
    """Return a count with its noun: 1 event, 2 events."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def note_moves(turn: Turn, moves: Sequence[Move]) -> None:
    """Add leader changes to the turn's activity."""
    if len(moves) > MOVES_TOLD:
        turn.note("moved", f"{len(moves):,} leaders moved")
        return
    for move in moves:
        after = f"to broker {move.after}" if move.after >= 0 else "nowhere: no in-sync replica is up"
        turn.note(
            "moved", f"the leader moved {after}", topic=move.partition.topic.name, partition=move.partition.partition
        )


def note_cut(turn: Turn, partition: Partition, kind: str, first: int, start: int) -> None:
    """Add to the turn's activity that the offsets from `first` up to `start` were removed from a log."""
    turn.note(
        kind,
        f"{in_words(start - first, 'offset')} left the log, which begins at {start:,} now",
        topic=partition.topic.name,
        partition=partition.partition,
    )
