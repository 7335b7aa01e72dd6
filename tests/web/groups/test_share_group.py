"""The page of a share group: its windows, and records released or archived by hand."""

import re

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.share_group import ShareHeartbeat
from sandbox.broker.shares.window import AcknowledgedRange, AcknowledgeType, ReadRange
from sandbox.kafka.errors import BrokerError

GROUP, MEMBER = "work", "worker-1-aaaa"


@pytest.fixture
def queue(box: Sandbox) -> Sandbox:
    """A share group that has acquired ten records, accepted one and rejected one."""
    box.create_topic("jobs")
    for number in range(12):
        box.append("jobs", f"v{number}")

    def fill(now_ms: int) -> None:
        coordinator = box._runtime.coordinator
        request = ShareHeartbeat(GROUP, MEMBER, 0, client_id="worker", topics=("jobs",))
        coordinator.share_heartbeat(request, now_ms)
        partition = box._runtime.broker.topic("jobs").partition(0)
        coordinator.shares.begin(GROUP, partition, 0)
        read = ReadRange(0, 10, range(10), [(one, one) for one in range(10)])
        coordinator.shares.acquire(GROUP, partition, MEMBER, read, 10, True, now_ms)
        said = [AcknowledgedRange(1, 2, (AcknowledgeType.ACCEPT, AcknowledgeType.REJECT))]
        coordinator.shares.acknowledge(GROUP, partition, MEMBER, said, now_ms)

    box._runtime.call(fill)
    return box


def states(page: FlaskClient) -> str:
    (window,) = page.get(f"/groups/{GROUP}/windows.json").get_json()["partitions"]
    return "".join(record["state"][:3] + " " for record in window["records"]).strip()


def test_the_list_shows_share_groups_with_their_kind_and_lag(page: FlaskClient, queue: Sandbox) -> None:
    (group,) = page.get("/groups.json").get_json()["groups"]
    assert (group["group"], group["state"], group["lag"], group["topics"]) == (GROUP, "Stable", 10, ["jobs"])
    assert '<span class="kind">share</span>' in page.get("/groups").text


def test_a_window_is_drawn_record_by_record(page: FlaskClient, queue: Sandbox) -> None:
    html = page.get(f"/groups/{GROUP}").text
    drawn = re.findall(r'data-state="(\w+)" data-offset="(\d+)"', html)
    assert [state for state, _ in drawn] == ["acquired", "acknowledged", "archived", *["acquired"] * 7]
    assert "start offset 0 · end 10 · log end 12 · lag 10" in html
    assert re.search(r"offset 3: acquired, delivery 1 by worker .* lock expires in", html)


def test_records_are_archived_by_hand_after_a_preview(page: FlaskClient, queue: Sandbox) -> None:
    form = {"do": "archive", "which": "jobs:0", "first": "0", "last": "2"}
    html = page.get(f"/groups/{GROUP}", query_string=form).text
    assert "<b>1 record</b> of jobs 0 will be archived" in html
    before = states(page)
    assert page.post(f"/groups/{GROUP}/records", data=form).status_code == 303
    assert before.startswith("acq ack arc acq")
    (window,) = queue.share_groups.windows(GROUP)
    assert (window.start, len(window.records)) == (3, 7)


def test_records_are_released_by_hand(page: FlaskClient, queue: Sandbox) -> None:
    form = {"do": "release", "which": "jobs:0", "first": "3", "last": ""}
    assert page.post(f"/groups/{GROUP}/records", data=form).status_code == 303
    (window,) = queue.share_groups.windows(GROUP)
    assert [one.state for one in window.records if one.offset == 3] == ["available"]
    assert queue.share_groups.release(GROUP, "jobs", 0, [3]) == 0, "it is released already"


def test_a_form_that_makes_no_sense_is_refused_with_the_reason(page: FlaskClient, queue: Sandbox) -> None:
    for form, reason in (
        ({"do": "archive", "which": "jobs:0", "first": "x"}, "The first offset must be a whole number"),
        ({"do": "drop", "which": "jobs:0", "first": "1"}, "There is no action"),
        ({"do": "archive", "which": "other:0", "first": "1"}, "doesn&#39;t share other-0"),
    ):
        answer = page.post(f"/groups/{GROUP}/records", data=form)
        assert (answer.status_code, reason in answer.text) == (400, True)
    with pytest.raises(BrokerError, match="GROUP_ID_NOT_FOUND"):
        queue.share_groups.archive("nobody", "jobs", 0, [1])


def leave(queue: Sandbox) -> None:
    gone = ShareHeartbeat(GROUP, MEMBER, -1)
    queue._runtime.call(lambda now_ms: queue._runtime.coordinator.share_heartbeat(gone, now_ms))


def test_start_offsets_are_reset_after_a_preview_and_set_back(page: FlaskClient, queue: Sandbox) -> None:
    form = {"which": "jobs:0", "to": "offset", "at": "5"}
    shown = page.get(f"/groups/{GROUP}", query_string=form).text
    assert 'data-before="0" data-after="5"' in shown
    assert "Kafka refuses a reset while the group has members" in shown
    refused = page.post(f"/groups/{GROUP}/reset", data=form)
    assert (refused.status_code, "has members" in refused.text) == (400, True)
    leave(queue)
    assert page.post(f"/groups/{GROUP}/reset", data=form).status_code == 303
    (window,) = queue.share_groups.windows(GROUP)
    assert (window.start, window.records) == (5, ())
    assert 'value="jobs:0:0"' in page.get(f"/groups/{GROUP}").text, "the reset can be undone"
    assert page.post(f"/groups/{GROUP}/undo", data={"undo": "jobs:0:0"}).status_code == 303
    assert queue.share_groups.windows(GROUP)[0].start == 0


def test_its_offsets_in_a_topic_are_deleted_after_a_preview(page: FlaskClient, queue: Sandbox) -> None:
    address = f"/groups/{GROUP}/delete?topic=jobs"
    assert "disabled" in page.get(address).text
    assert page.post(f"/groups/{GROUP}/delete", data={"topic": "jobs"}).status_code == 409
    leave(queue)
    assert "1 committed offset is lost" in page.get(address).text
    assert page.post(f"/groups/{GROUP}/delete", data={"topic": "jobs"}).status_code == 303
    assert [window.start for window in queue.share_groups.windows(GROUP)] in ([], [None])
    assert page.post(f"/groups/{GROUP}/delete").status_code == 303
    assert queue.groups() == ()


def test_a_group_of_another_kind_keeps_its_own_resets(queue: Sandbox) -> None:
    queue.commit("readers", "jobs", 0, 3)
    queue.reset("readers", to="earliest")
    assert [one.committed for one in queue.lag("readers")] == [0]
    assert [one.start for one in queue.share_groups.windows(GROUP)] == [0]
