"""A group's page names the members that the group waits for, and until when: members that were killed or don't poll."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from playwright.sync_api import Page, expect

from tests.browser.running import PROGRAMS, Running

pytestmark = pytest.mark.browser

SESSION_MS, POLL_MS = 10_000, 20_000
SHOWN_MS = 30_000


@contextmanager
def member(box: Running, client_id: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A member of billing in a separate process, which has its assignment."""
    command = [sys.executable, str(PROGRAMS / "member.py"), box.kafka, "orders", "billing", client_id]
    process = subprocess.Popen(
        [*command, str(SESSION_MS), str(POLL_MS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def assigned(process: "subprocess.Popen[bytes]") -> None:
    """Wait for its next assignment."""
    assert process.stdout is not None
    assert process.stdout.readline() == b"assigned\n"


@pytest.fixture
def topic(box: Running) -> None:
    admin = AdminClient({"bootstrap.servers": box.kafka})
    admin.create_topics([NewTopic("orders", 2)])["orders"].result(30)


@pytest.mark.usefixtures("topic")
def test_a_killed_member_is_named_until_its_session_ends(box: Running, window: Page) -> None:
    with member(box, "alpha") as alpha, member(box, "beta") as beta:
        assigned(alpha)
        assigned(beta)
        window.goto("/groups/billing")
        expect(window.locator("#live-members tr[data-member]")).to_have_count(2)
        expect(window.locator("#group-waits")).to_have_count(0)
        beta.kill()
        waits = window.locator("#group-waits")
        expect(waits).to_contain_text("The group waits for beta, not heard of for", timeout=SHOWN_MS)
        expect(waits).to_contain_text("is a member until its session of 10 s ends: no other member reads orders")
        expect(window.locator("#live-members tr[data-member]")).to_have_count(1, timeout=SHOWN_MS)
        expect(waits).to_have_count(0)
        log = window.locator(".rebalances > li").first
        expect(log).to_contain_text("beta's session of 10,000 ms timed out", timeout=SHOWN_MS)


@pytest.mark.usefixtures("topic")
def test_a_rebalance_names_the_member_that_works_without_polling_and_the_log_says_how_long(
    box: Running, window: Page
) -> None:
    with member(box, "alpha") as alpha:
        assigned(alpha)
        assert alpha.stdin is not None
        alpha.stdin.write(b"6\n")
        window.goto("/groups/billing")
        with member(box, "beta") as beta:
            waits = window.locator("#group-waits")
            expect(waits).to_contain_text("The rebalance waits for alpha to join again, until", timeout=SHOWN_MS)
            expect(waits).to_contain_text("has not called poll() since the rebalance began")
            expect(window.locator("#joining")).to_contain_text("beta waits to be let in")
            assigned(beta)
            expect(waits).to_have_count(0)
            log = window.locator(".rebalances > li").first
            expect(log).to_contain_text("member beta joined; waited")
            expect(log).to_contain_text("s for alpha")
            took = log.inner_text()
        window.goto("/activity?kind=rebalanced&group=billing")
        told = window.locator("tr[data-kind='rebalanced'] .text").filter(has_text="member beta joined").inner_text()
        length = took.partition("took ")[2].partition(" from")[0]
        assert f"took {length}: member beta joined; waited" in told
