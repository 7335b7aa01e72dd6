"""Kafka for tests: a separate sandbox for each test, assertions that wait and explain, and a clock to move.

    import sandbox.testing

    with sandbox.testing.kafka(topics={"orders": 3}) as kafka:
        run_my_service(kafka.bootstrap_servers)
        kafka.produce("orders", {"id": 1, "status": "paid"}, key="user-42")
        kafka.expect("invoices", count=1, json={"order": 1}, within="5s")

With pytest, use the fixture `kafka`; see docs/testing.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.testing.assertions import ExpectationFailed as ExpectationFailed
    from sandbox.testing.criteria import SeenEvent as SeenEvent
    from sandbox.testing.handle import Kafka as Kafka
    from sandbox.testing.place import NeedsSandbox as NeedsSandbox
    from sandbox.testing.start import cluster as cluster
    from sandbox.testing.start import kafka as kafka

# Loaded when first used: pytest imports this package in every project of the environment.
_MODULES = {
    "ExpectationFailed": "sandbox.testing.assertions",
    "Kafka": "sandbox.testing.handle",
    "NeedsSandbox": "sandbox.testing.place",
    "SeenEvent": "sandbox.testing.criteria",
    "cluster": "sandbox.testing.start",
    "kafka": "sandbox.testing.start",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'sandbox.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
