"""The page of a group: the members that it waits for, their names, and what its lag does not count."""

import json
import re

from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import JoinGroup
from tests.web.groups.group_members import assign, join, pass_ms


def test_a_member_that_was_killed_is_named_with_the_time_when_its_session_ends(
    page: FlaskClient, billing: Sandbox
) -> None:
    member_id = join(billing)
    assign(billing, member_id)
    assert 'id="group-waits"' not in page.get("/groups/billing").text
    pass_ms(billing, 4_500)
    html = page.get("/groups/billing?to=earliest").text
    (one,) = page.get("/groups/billing.json").get_json()["awaited"]
    assert (one["member_id"], one["name"], one["waits_for"], one["silent"]) == (member_id, "worker", "heartbeat", True)
    told = re.search(r'id="group-waits" role="note"><p><b>(.*?)</p>', html, re.DOTALL)
    assert told is not None
    assert "The group waits for worker</b>, not heard of for" in told[1]
    assert f'data-ms="{one["until_ms"]}"' in told[1]
    assert "unless it is heard of before" in told[1]
    why = re.search(r'id="reset-why">(.*?)</p>', html, re.DOTALL)
    assert why is not None
    assert f'worker <time data-ms="{one["until_ms"]}"' in why[1]
    pass_ms(billing, 2_000)
    assert 'id="group-waits"' not in page.get("/groups/billing").text
    assert "worker&#39;s session of 6,000 ms timed out" in page.get("/groups/billing").text


def test_a_rebalance_that_waits_for_a_busy_member_says_so_and_who_waits_to_be_let_in(
    page: FlaskClient, billing: Sandbox
) -> None:
    member_id = join(billing)
    assign(billing, member_id)
    request = JoinGroup(
        "billing", "", None, "worker", "/10.0.0.8", 6_000, 60_000, "consumer", (("range", b""),), None, False, False
    )
    billing._runtime.call(lambda now_ms: billing._runtime.coordinator.join(request, now_ms))
    pass_ms(billing, 3_000)
    beat = billing._runtime.coordinator.heartbeat
    billing._runtime.call(lambda now_ms: beat("billing", 1, member_id, None, now_ms))
    html = page.get("/groups/billing").text
    name = member_id[: len("worker-") + 8]
    assert f"The rebalance waits for {name}</b> to join again, until" in html
    assert "has not called poll() since the rebalance began" in html
    assert "Those that have joined already read nothing meanwhile" in html
    assert re.search(r'id="joining"><b>worker-[0-9a-f]{8}</b> waits to be let in', html)
    assert "1 joining" in html


def test_members_with_one_client_id_have_different_names_wherever_they_are_shown(
    page: FlaskClient, billing: Sandbox
) -> None:
    ids = {f"rdkafka-{digit * 8}-0000-4000-8000-000000000000": f"rdkafka-{digit * 8}" for digit in "12"}
    for member_id in ids:
        billing._database.execute(
            "INSERT INTO group_members(group_id, member_id, instance_id, client_id, client_host, session_timeout_ms, "
            "rebalance_timeout_ms, protocols, assignment, assigned, consumer) "
            "VALUES('billing', ?, NULL, 'rdkafka', '/127.0.0.1', 6000, 60000, '[]', x'', ?, NULL)",
            (member_id, json.dumps({"orders": [list(ids).index(member_id)]})),
        )
    billing._database.execute("UPDATE groups SET state = 'Stable' WHERE group_id = 'billing'")
    billing._database.commit()
    html = page.get("/groups/billing?to=earliest").text
    for member_id, name in ids.items():
        assert f'<tr data-member="{member_id}"><th scope="row">{name}</th>' in html
        assert f'<span title="{member_id}">{name}</span>' in html
        assert f"{name} (127.0.0.1)" in html
        assert name in page.get("/groups/billing/delete").text


def test_lag_counts_the_partitions_without_a_commit(page: FlaskClient, billing: Sandbox) -> None:
    assert "without a commit" not in page.get("/groups/billing").text
    billing.create_partitions("orders", 4)
    for _ in range(7):
        billing.append("orders", "x", partition=2)
    billing.append("orders", "x", partition=3)
    for address in ("/groups/billing", "/groups"):
        text = " ".join(re.sub(r"<[^>]+>", "", page.get(address).text).split())
        assert "+ up to 8 (2 partitions without a commit)" in text
    group = page.get("/groups/billing.json").get_json()
    assert (group["uncommitted_lag"], group["uncommitted_partitions"]) == (8, 2)
    assert [one["uncommitted_lag"] for one in group["partitions"]] == [0, 0, 7, 1]
    query = "SELECT partition, committed, lag, uncommitted_lag FROM lag WHERE group_id = 'billing' ORDER BY partition"
    rows = page.get("/sql.json", query_string={"q": query}).get_json()["rows"]
    assert rows[2:] == [[2, None, None, 7], [3, None, None, 1]]
    assert [row[3] for row in rows[:2]] == [0, 0]
