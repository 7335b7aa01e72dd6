"""The demo's switch at the foot of every page."""

from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox


class Switch:
    """A demo that only records its calls."""

    def __init__(self) -> None:
        self.state = "on"

    def switch_on(self) -> None:
        self.state = "on"

    def switch_off(self) -> None:
        self.state = "off"

    def remove(self) -> None:
        self.state = "removed"


def test_the_footer_says_whether_the_demo_is_at_work_and_offers_the_other(page: FlaskClient, box: Sandbox) -> None:
    box.demo = Switch()
    assert "Demo is running" in page.get("/groups").text
    off = page.post("/demo/off", headers={"Referer": "http://localhost/groups"}, follow_redirects=True).text
    assert "Demo is running" not in off
    assert "The demo is switched off." in off
    assert '<button class="quiet" formaction="/demo/on">Start the demo</button>' in off
    on = page.post("/demo/on", headers={"Referer": "http://localhost/groups"}, follow_redirects=True).text
    assert "Demo is running" in on
    removed = page.post("/demo/remove", follow_redirects=True).text
    assert "The demo is" not in removed
