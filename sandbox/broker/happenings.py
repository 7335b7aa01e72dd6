"""Records leader changes and removed offsets in the activity stream."""

from collections.abc import Sequence

from sandbox.broker.cluster import LeaderChange
from sandbox.broker.logs.topic import Partition
from sandbox.broker.logs.turn import Turn

MOVES_LISTED_MAX = 5
"""If more leaders than this move together, one entry counts them."""


def note_moves(turn: Turn, moves: Sequence[LeaderChange]) -> None:
    """Add leader changes to the turn's activity."""
    if len(moves) > MOVES_LISTED_MAX:
        turn.note("moved", {"leaders": len(moves)})
        return
    for move in moves:
        turn.note("moved", {"leader": move.after}, topic=move.partition.topic.name, partition=move.partition.partition)


def note_cut(turn: Turn, partition: Partition, kind: str, first: int, start: int) -> None:
    """Add to the turn's activity that the offsets from `first` up to `start` were removed from a log.

    Args:
        kind: "retention" or "deleted".
    """
    resource = {"resource": "records"} if kind == "deleted" else {}
    turn.note(
        kind,
        {**resource, "offsets": start - first, "log_start_offset": start},
        topic=partition.topic.name,
        partition=partition.partition,
    )
