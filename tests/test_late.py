"""Attributes that are made when they are first asked for."""

import pydoc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sandbox.late import Late
from sandbox.sandbox import Sandbox

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
