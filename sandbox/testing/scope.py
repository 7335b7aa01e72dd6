"""Opens the Kafka of one pytest test or session, from its marker and options, and keeps its file if the test fails."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sandbox.testing.failure_text import command_for
from sandbox.testing.handle import Kafka
from sandbox.testing.place import NeedsSandbox
from sandbox.testing.plugin import broken_key, command_key, kept_key, was_interrupted
from sandbox.testing.start import cluster, prepare, remove, start

ARGUMENTS = ("topics", "brokers", "settings", "faults", "seed", "schemas", "clock")
ONLY_SANDBOX = ("brokers", "settings", "faults", "schemas", "clock")
FOLDER = "kafka-sandbox"
NAME_MAX = 80


@contextmanager
def opened(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """Open Kafka for the scope of a fixture."""
    wanted = _wanted(request.node)
    bootstrap = request.config.getoption("--kafka-bootstrap")
    if bootstrap:
        with _on_cluster(request, bootstrap, wanted) as made:
            yield made
    else:
        with _in_sandbox(request, wanted) as made:
            yield made


def _wanted(node: Any) -> dict[str, Any]:
    """Return the arguments of a test's markers. The closest marker wins: the test's, its class's, its module's."""
    found: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("kafka"))):
        unknown = [name for name in mark.kwargs if name not in ARGUMENTS]
        if mark.args or unknown:
            what = "takes no positional arguments" if mark.args else f"has no argument {unknown[0]}"
            raise pytest.UsageError(f"{node.nodeid}: the marker kafka {what}; it has {', '.join(ARGUMENTS)}.")
        found.update(mark.kwargs)
    for name in ("seed", "schemas"):
        if name in found:
            paths = [found[name]] if isinstance(found[name], str | Path) else list(found[name])
            # A path is relative to the test's file, so that it doesn't depend on the working directory.
            found[name] = [node.path.parent / one for one in paths]
    if isinstance(found.get("faults"), Mapping):
        found["faults"] = [found["faults"]]
    return found


@contextmanager
def _on_cluster(request: pytest.FixtureRequest, bootstrap: str, wanted: dict[str, Any]) -> Iterator[Kafka]:
    for name in ONLY_SANDBOX:
        if name in wanted:
            pytest.skip(str(NeedsSandbox(f"The marker's argument {name}")))
    properties = dict(one.split("=", 1) for one in request.config.getoption("--kafka-property"))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", request.node.name)[:40].strip("-") or "session"
    registry = request.config.getoption("--kafka-schema-registry")
    prefix = f"test-{uuid4().hex[:8]}-{name}-"
    with cluster(bootstrap, properties=properties, prefix=prefix, registry_url=registry) as made:
        prepare(made, topics=wanted.get("topics", ()), seed=wanted.get("seed", ()))
        yield made


@contextmanager
def _in_sandbox(request: pytest.FixtureRequest, wanted: dict[str, Any]) -> Iterator[Kafka]:
    folder: Path = request.getfixturevalue("tmp_path_factory").getbasetemp() / FOLDER
    folder.mkdir(exist_ok=True)
    file = _new_file(folder, request.node.nodeid or "session")
    made = start(
        file,
        brokers=wanted.get("brokers", 1),
        settings=wanted.get("settings"),
        clock=wanted.get("clock", "real"),
    )
    stash = request.node.stash
    stash[command_key] = command_for(file)
    try:
        prepare(made, **{name: wanted[name] for name in ("topics", "faults", "seed", "schemas") if name in wanted})
        yield made
    finally:
        failed = stash.get(broken_key, False) or was_interrupted()
        made.close()
        if failed or request.config.getoption("--kafka-keep"):
            request.config.stash[kept_key][request.node.nodeid or "session"] = command_for(file)
        else:
            remove(file)


def _stem(node_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", node_id.rpartition("::")[2])[:NAME_MAX].strip("_")


def _new_file(folder: Path, node_id: str) -> Path:
    stem = _stem(node_id) or "test"
    number = 1
    while (file := folder / f"{stem}{'' if number == 1 else f'-{number}'}.db").exists():
        number += 1
    return file


def left_behind(node_id: str, worker: Any) -> str | None:
    """Return the command that opens the file of a test in which a worker process crashed; None if there is none."""
    with suppress(AttributeError):
        base = worker.config._tmp_path_factory.getbasetemp()
        folder = base / f"popen-{worker.gateway.id}" / FOLDER
        files = sorted(folder.glob(f"{_stem(node_id)}*.db"), key=lambda one: one.stat().st_mtime)
        return command_for(files[-1]) if files else None
    return None


@contextmanager
def skipped_on_a_cluster() -> Iterator[None]:
    """Skip the test if it needs the sandbox, and runs on a cluster."""
    try:
        yield
    except NeedsSandbox as needed:
        pytest.skip(str(needed))
