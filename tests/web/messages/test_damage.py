"""An event whose record batch is not as it was written is shown with a warning, and never given out as if it were."""

from pathlib import Path

from sandbox.api.sandbox import Sandbox
from sandbox.kafka.event import NewEvent
from sandbox.web.app import create_app
from tests.storage.damage import damage


def test_an_event_of_a_damaged_batch_opens_with_a_warning(file: Path) -> None:
    with Sandbox(file) as box:
        box.append_all("orders", [NewEvent(b"ham"), NewEvent(b"eggs")])
        box.append("orders", b"spam")
    damage(file, "UPDATE events SET value = 'egos' WHERE value = 'eggs'")
    with Sandbox(file) as box:
        browser = create_app(box).test_client()
        for offset, value in ((0, "ham"), (1, "egos")):
            shown = browser.get(f"/topics/orders/0/{offset}")
            assert shown.status_code == 200
            assert value in shown.text
            assert "may not be what was written. orders-0, offsets 0 to 1: the file is damaged" in shown.text
        assert "may not be" not in browser.get("/topics/orders/0/2").text
        assert "egos" in browser.get("/topics/orders/messages").text
        refused = browser.get("/topics/orders/0/1.json")
        assert refused.status_code >= 400
        assert "CORRUPT_MESSAGE" in refused.text
