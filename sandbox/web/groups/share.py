"""The page of a share group: each partition's window record by record, and records released or archived by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from sandbox.kafka.errors import BrokerError
from sandbox.model.groups import ACQUIRED, AVAILABLE, GroupDescription, ResetLine, ShareWindow
from sandbox.web.formats import plural
from sandbox.web.groups.one_group import RESETS, back, blockers, integer, read_reset
from sandbox.web.groups.waits import names_of, waits_of
from sandbox.web.notices import Notice
from sandbox.web.responses import QUICK_S, Interest, backend, data, is_live, overview, page

blueprint = Blueprint("groups_share", __name__)

RECORDS_SHOWN = 300
PARTITIONS_SHOWN = 100
REBALANCES_SHOWN = 10
ACTIONS = {"release": (ACQUIRED,), "archive": (ACQUIRED, AVAILABLE)}
"""Each action by hand, with the states of the records that it changes."""
NO_RESETS = ("back", "group")
"""Resets to committed offsets, which a share group has not."""
DONE_WORDS = {"release": "released", "archive": "archived"}


@dataclass(frozen=True, slots=True)
class HandChange:
    """A change of records by hand, as a form asks for it.

    Attributes:
        action: "release" or "archive".
        offsets: the records that it would change.
    """

    action: str
    topic: str
    partition: int
    first: int
    last: int
    offsets: tuple[int, ...]


def show(group: GroupDescription, form: MultiDict[str, str], error: str | None = None) -> Response:
    """Answer with the page of a share group.

    Args:
        form: the fields of a change by hand or of a reset, for its preview.
        error: why an action was refused, or None.
    """
    windows = backend().share_groups.windows(group.group)
    change = None
    preview: list[ResetLine] | None = None
    try:
        if form.get("do") and request.method == "GET":
            change = _asked(windows, form)
        if form.get("to"):
            preview = backend().preview_reset(group.group, **read_reset(form))
    except BrokerError as refusal:
        error = error or refusal.detail
    own, others = blockers(group)
    return page(
        "groups/share",
        Interest(frozenset(group.topics), frozenset((group.group,)), 2, QUICK_S),
        400 if error and not is_live() else 200,
        group=group,
        windows=windows[:PARTITIONS_SHOWN],
        more=max(0, len(windows) - PARTITIONS_SHOWN),
        totals={state: sum(one.count(state) for one in windows) for state in (ACQUIRED, AVAILABLE)},
        oldest=min((one.oldest_lock_ms for one in windows if one.oldest_lock_ms is not None), default=None),
        records_shown=RECORDS_SHOWN,
        names=names_of(group),
        waits=waits_of(group, overview().as_of_ms),
        rebalances=backend().group_history.rebalances(group.group, before=None, limit=REBALANCES_SHOWN),
        idle="",
        change=change,
        chosen=form,
        form=form,
        preview=preview,
        own=own,
        others=others,
        demo_members=False,
        last_reset=None,
        unread=(),
        resets=[one for one in RESETS if one[0] not in NO_RESETS],
        error=error,
    )


def _asked(windows: tuple[ShareWindow, ...], form: Mapping[str, str]) -> HandChange:
    """Read a form. Raises BrokerError INVALID_REQUEST with the reason."""
    action = form.get("do", "")
    if action not in ACTIONS:
        raise BrokerError("INVALID_REQUEST", f"There is no action {action!r}.")
    topic, _, number = form.get("which", "").rpartition(":")
    partition = integer(number, "the partition")
    first = integer(form.get("first", "").strip(), "the first offset")
    last = integer(form.get("last", "").strip() or str(first), "the last offset")
    window = next((one for one in windows if (one.topic, one.partition) == (topic, partition)), None)
    if window is None:
        raise BrokerError("INVALID_REQUEST", f"The group doesn't share {topic}-{partition}.")
    states = ACTIONS[action]
    offsets = tuple(one.offset for one in window.records if first <= one.offset <= last and one.state in states)
    return HandChange(action, topic, partition, first, last, offsets)


@blueprint.post("/groups/<group>/records")
@blueprint.post("/group/records")
def change(group: str | None = None) -> AnyResponse:
    """Release or archive records by hand."""
    name = group if group is not None else request.args.get("id", "")
    found = backend().group(name)
    try:
        asked = _asked(backend().share_groups.windows(name), request.form)
    except BrokerError as error:
        return show(found, request.form, error.detail)
    shares = backend().share_groups
    act = shares.release if asked.action == "release" else shares.archive
    count = act(name, asked.topic, asked.partition, asked.offsets)
    return back(name, Notice(f"{plural(count, 'record')} {DONE_WORDS[asked.action]}"))


@blueprint.get("/groups/<group>/windows.json")
@blueprint.get("/group/windows.json")
def windows_json(group: str | None = None) -> Response:
    """Each partition's window as JSON."""
    name = group if group is not None else request.args.get("id", "")
    found = [
        {
            "topic": one.topic,
            "partition": one.partition,
            "start_offset": one.start,
            "end_offset": one.end,
            "log_end_offset": one.log_end,
            "lag": one.lag,
            "records": [
                {
                    "offset": record.offset,
                    "state": record.state,
                    "delivery_count": record.deliveries,
                    "member": record.member,
                    "acquired_ms": record.acquired_ms,
                    "locked_until_ms": record.locked_until_ms,
                }
                for record in one.records
            ],
        }
        for one in backend().share_groups.windows(name)
    ]
    return data({"as_of_ms": overview().as_of_ms, "group": name, "partitions": found})
