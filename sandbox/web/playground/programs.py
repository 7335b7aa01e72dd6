"""Programs that do what the Playground does, ready to run."""

from sandbox.playground.scenario_definitions import SCENARIOS
from sandbox.playground.spec import ConsumerSpec
from sandbox.web.programs import ShownProgram, client_settings_here, render, shown

PROGRAMS = tuple(scenario.name for scenario in SCENARIOS)
"""The scenarios; each has its own program."""


DEFAULT_REGISTRY = "http://127.0.0.1:8081"


def scenario_program(name: str, address: str, registry: str = DEFAULT_REGISTRY) -> str:
    """Return a program that demonstrates a scenario; it creates its own topic and group.

    Args:
        name: the scenario's name.
        address: the cluster's address.
        registry: the schema registry's URL.
    """
    return render(f"scenario-{name}", "py", address=address, registry=registry)


def consumer_programs(spec: ConsumerSpec, address: str) -> list[ShownProgram]:
    """Return programs that read like a Playground consumer, without its faults. In Python they only keep the refusal
    of events by their content, which become dead letters.
    """
    told = spec.kafka(spec.client_id or "my-program")
    settings: dict[str, object] = {"bootstrap.servers": address, **client_settings_here()}
    if spec.shares:
        settings |= {name: value for name, value in told.items() if name != "log_level"}
        kind = {"release": "RELEASE", "reject": "REJECT"}.get(spec.acknowledge, "ACCEPT")
        return shown("share-consumer", settings=settings, topics=list(spec.topics), kind=kind)
    settings |= {name: told[name] for name in ("group.id", "client.id", "auto.offset.reset")}
    if spec.protocol == "consumer":
        settings |= {"group.protocol": "consumer", "group.remote.assignor": spec.assigns_by}
    else:
        settings |= {name: told[name] for name in ("partition.assignment.strategy", "session.timeout.ms")}
    settings["enable.auto.commit"] = spec.commit == "auto"
    if spec.commit == "auto":
        settings["auto.commit.interval.ms"] = spec.auto_commit_ms
    return shown(
        "consumer",
        address=address,
        settings=settings,
        topics=list(spec.topics),
        group=spec.group,
        commit=spec.commit,
        refuses=spec.fail_contains != "" and spec.then == "dlq",
        poison=spec.fail_contains.encode("utf-8", "replace"),
        why=f"it contains {spec.fail_contains!r}",
    )


def consumer_program(spec: ConsumerSpec, address: str) -> str:
    """Return the Python program of `consumer_programs`."""
    return consumer_programs(spec, address)[0].text
