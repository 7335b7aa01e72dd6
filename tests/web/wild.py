"""Requests in which every field that a view asks for has a value that it did not expect."""

import random
import re
import time
from collections.abc import Iterator
from typing import Any

from flask import Flask
from htmx_flask.requests import HtmxAwareRequest
from werkzeug.datastructures import MultiDict

from sandbox.api.sandbox import Sandbox
from sandbox.web import guard
from tests.web.hostile_names import HOSTILE

ABSENT = "(absent)"
INTEGERS = ("0", "1", "7", str(2**31), str(2**63), "9" * 40)
NAMES = (
    "orders",
    "billing",
    "before",
    "compact",
    "empty",
    "why-twice",
    "none.json",
    "%00",
    "%ff%fe",
    "..%2f..",
    "%0d%0a",
    "x" * 3000,
)
TEXTS = (
    "",
    " ",
    "0",
    "1",
    "-1",
    "2",
    "01",
    "1_0",
    "+1",
    "1.5",
    "1e309",
    "nan",
    "-inf",
    "\u0661",
    str(2**31),
    str(2**63 - 1),
    str(2**63),
    str(-(2**63) - 1),
    "9" * 5000,
    "\x00",
    "a\x00b",
    "\r\nX-Evil: 1",
    "\ufffd",
    "\u202e",
    "é",
    "x" * 100_000,
    HOSTILE,
    "orders",
    "billing",
    "before",
    "now",
    "all",
    "on",
    "true",
    "json",
    "text",
    "hex",
    "base64",
    "!!!!",
    "null",
    "earliest",
    "latest",
    "offset",
    "offset:5",
    "time",
    "1h",
    "-1d",
    "99999999999d",
    "2024-02-31",
    "2024-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999+23:59",
    "0001-01-01",
    "1970-01-01T00:00:00-99:99",
    "../../etc/passwd",
    "a/b/c",
    "orders/0/0",
    "orders/0/" + "9" * 30,
    "0:1-3",
    "0:0-" + "9" * 25,
    "0:3-1,1:-",
    ",",
    ":",
    "$",
    "$.a",
    "$[*]..a",
    "$." + "a." * 500,
    "[" * 2000,
    '{"a":' * 500,
    "{}",
    '{"a": 1e999}',
    "[1, 2",
    "(((((((((((a+)+)+)+)+)+)+)+",
    "%",
    "%%%s%n{0}{x.__class__}",
    "${{7*7}}",
    "SELECT 1",
    "SELECT :a, :b",
    "';--",
    "k=v",
    "a: b\nc",
    "retention.ms",
    "cleanup.policy=compact",
    "murmur2",
    "newest",
    "oldest",
)
JSON: tuple[Any, ...] = (None, True, 0, -1, 2**70, 1.5, "\ud800", [], {}, [[[[]]]], {"a": {"a": 1}}, ["1", 2, None])


class WildFields(MultiDict[str, Any]):
    """Has any attribute, the same each time; `told` has the calls."""

    def __init__(self, source: random.Random, values: tuple[Any, ...]) -> None:
        super().__init__()
        self.source = source
        self.values_known = values
        self.told: dict[str, Any] = {}

    def _choose(self, key: str) -> Any:
        if key not in self.told:
            self.told[key] = ABSENT if self.source.random() < 0.3 else self.source.choice(self.values_known)
        return self.told[key]

    def __contains__(self, key: object) -> bool:
        return self._choose(str(key)) is not ABSENT

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            return super().__getitem__(key)
        return self._choose(key)

    def get(self, key: str, default: Any = None, type: Any = None) -> Any:  # type: ignore[override]
        if key not in self:
            return default
        try:
            return self._choose(key) if type is None else type(self._choose(key))
        except (ValueError, TypeError):
            return default

    def getlist(self, key: str, type: Any = None) -> list[Any]:
        found = self.get(key, type=type)
        return [] if found is None else [found] * self.source.choice((1, 1, 2, 40))

    def items(self, multi: bool = False) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        self._choose("any")
        return iter([(key, value) for key, value in self.told.items() if value is not ABSENT])

    def to_dict(self, flat: bool = True) -> dict[str, Any]:
        return dict(self.items())


def wild_request(source: random.Random) -> type[HtmxAwareRequest]:
    """The class of requests whose fields are wild.

    Args:
        source: what they are chosen with.
    """

    class WildRequest(HtmxAwareRequest):  # type: ignore[misc]
        @property
        def _wild(self) -> dict[str, WildFields]:
            if "wild" not in self.environ:
                self.environ["wild"] = {
                    "args": WildFields(source, TEXTS),
                    "form": WildFields(source, TEXTS),
                    "json": WildFields(source, (*TEXTS, *JSON)),
                }
            found: dict[str, WildFields] = self.environ["wild"]
            return found

        @property
        def args(self) -> Any:
            return self._wild["args"]

        @property
        def form(self) -> Any:
            return self._wild["form"]

        @property
        def values(self) -> Any:
            return self._wild["args" if self.method == "GET" else "form"]

        def get_json(self, *args: Any, **kwargs: Any) -> Any:
            whole = source.random()
            return self._wild["json"] if whole < 0.8 else source.choice(JSON)

    return WildRequest


def fill(box: Sandbox) -> None:
    """Let a sandbox have what the addresses name."""
    box.create_topic("orders", partitions=2)
    for n in range(20):
        box.append("orders", f'{{"a": {n}}}', key=f"k{n}", headers={"h": "v"})
    box.commit("billing", "orders", 0, 0)
    box.snapshots.take("before")


def address(rule: str, source: random.Random) -> str:
    """A path of a rule."""

    def part_of(part: re.Match[str]) -> str:
        chosen = re.match(r"<any\(([^)]*)\)", part[0])
        if chosen:
            return str(source.choice(chosen[1].split(", ")))
        return source.choice(INTEGERS if part[0].startswith("<int:") else NAMES)

    path = re.sub(r"<[^>]*>", part_of, rule)
    # A copy that is opened beside is a process: too slow to start hundreds of them.
    return path.replace("/before/fork", "/none/fork")


def ask_all(app: Flask, method: str, rounds: int, source: random.Random) -> tuple[list[str], float]:
    """Ask each address so often with wild fields.

    Returns:
        What failed, and how many seconds the slowest answer took.
    """
    app.request_class = wild_request(source)
    page = app.test_client()
    failed: list[str] = []
    slowest = (0.0, "")
    for _ in range(rounds):
        for rule in app.url_map.iter_rules():
            if method not in (rule.methods or ()):
                continue
            path = address(rule.rule, source)
            begun_s = time.perf_counter()
            answer = page.open(path, method=method, headers={guard.PROGRAM_HEADER: "test"})
            slowest = max(slowest, (time.perf_counter() - begun_s, path))
            if answer.status_code >= 500:
                told = {kind: fields.told for kind, fields in answer.request.environ.get("wild", {}).items()}
                failed.append(f"{method} {path[:200]} {answer.status_code} {str(told)[:600]}\n{answer.text[-300:]}")
            answer.close()
    print(f"{method}: the slowest took {slowest[0]:.2f} s: {slowest[1][:80]}")
    return failed, slowest[0]
