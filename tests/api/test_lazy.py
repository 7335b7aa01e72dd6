"""Attributes that are created at their first use."""

import pydoc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from sandbox.api.lazy import Late, late_part, passed_on
from sandbox.api.sandbox import Sandbox

THREADS = 8


class House:
    """Makes its cellar late."""

    def __init__(self) -> None:
        self.made = 0

    @Late
    def cellar(self) -> object:
        """Below."""
        self.made += 1
        return object()

    parts = ("a", "b")
    pairs: "dict[str, int]" = late_part("collections", "Counter", "parts")
    most = passed_on("pairs.items", lambda: dict.items)


def test_threads_that_ask_at_once_are_given_the_same_one() -> None:
    house, together = House(), Barrier(THREADS)

    def ask() -> object:
        together.wait(10)
        return house.cellar

    with ThreadPoolExecutor(THREADS) as pool:
        found = [one.result() for one in [pool.submit(ask) for _ in range(THREADS)]]
    assert house.made == 1
    assert len(set(map(id, found))) == 1


def test_the_class_tells_what_it_is() -> None:
    assert House.cellar.__doc__ == "Below."
    assert "snapshots" in pydoc.render_doc(Sandbox)


def test_each_has_its_own() -> None:
    assert House().cellar is not House().cellar


def test_a_sandbox_that_is_closed_never_made_what_nobody_asked_for(box: Sandbox) -> None:
    box.append("orders", b"value")
    box.close()
    assert not {"snapshots", "playground", "generators"} & vars(box).keys()


def test_a_part_is_made_of_the_attributes_that_it_names_and_its_methods_are_passed_on() -> None:
    house = House()
    assert "pairs" not in vars(house)
    assert sorted(house.most()) == [("a", 1), ("b", 1)]
    assert vars(house)["pairs"] == {"a": 1, "b": 1}


def test_a_program_that_only_appends_and_serves_does_not_import_the_rest(file: Path) -> None:
    program = """
import sys
from sandbox import NewEvent, Sandbox
with Sandbox(sys.argv[1]) as box:
    box.serve(kafka_port=0, web_port=None)
    box.append_many("orders", [NewEvent(b"v", b"k")] * 30)
    print(*sorted(sys.modules))
"""
    command = [sys.executable, "-c", program, str(file)]
    loaded = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert "sandbox.api.append" in loaded
    late = (
        "sql_result",
        "storage.sql",
        "log_description",
        "storage.check",
        "message_survey",
        "snapshots",
        "web",
        "cli",
    )
    assert not {f"sandbox.{name}" for name in late} & set(loaded)
