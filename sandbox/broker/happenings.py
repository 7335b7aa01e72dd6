"""What the stream of activity is told of brokers and logs, in words."""

from collections.abc import Sequence

from sandbox.broker.cluster import Move
from sandbox.broker.logs.topic import Partition
from sandbox.broker.logs.turn import Turn

MOVES_TOLD = 5
"""More leaders that move at once are told in one sentence."""


def in_words(count: int, noun: str) -> str:
    """A count with its noun: 1 event, 2 events."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def note_moves(turn: Turn, moves: Sequence[Move]) -> None:
    """Tell of changes of leaders."""
    if len(moves) > MOVES_TOLD:
        turn.note("moved", f"{len(moves):,} leaders moved")
        return
    for move in moves:
        after = f"to broker {move.after}" if move.after >= 0 else "nowhere: no in-sync replica is up"
        turn.note(
            "moved", f"the leader moved {after}", topic=move.partition.topic.name, partition=move.partition.partition
        )


def note_cut(turn: Turn, partition: Partition, kind: str, first: int, start: int) -> None:
    """Tell that the offsets from `first` to `start` left a log."""
    turn.note(
        kind,
        f"{in_words(start - first, 'offset')} left the log, which begins at {start:,} now",
        topic=partition.topic.name,
        partition=partition.partition,
    )
