"""Caches of a file are invalidated when a snapshot is restored."""

from sandbox.api.sandbox import Sandbox
from sandbox.storage.file.content import OfContent, content_of


def test_a_restored_snapshot_is_another_content(box: Sandbox) -> None:
    def content() -> int:
        with box._database.reader() as reader:
            return content_of(reader)

    box.create_topic("orders")
    first = content()
    box.append("orders", "value", key="k1")
    assert content() == first
    box.snapshots.take("one")
    box.snapshots.restore("one")
    second = content()
    box.snapshots.restore("one")
    assert len({first, second, content()}) == 3


def test_what_is_remembered_lasts_as_long_as_the_content(box: Sandbox) -> None:
    memory = OfContent[list[str]](list)

    def remembered() -> list[str]:
        with box._database.reader() as reader:
            return memory.of(reader)

    box.create_topic("orders")
    remembered().append("known")
    box.append("orders", "value")
    assert remembered() == ["known"]
    box.snapshots.take("one")
    assert remembered() == ["known"]
    box.snapshots.restore("one")
    assert remembered() == []
