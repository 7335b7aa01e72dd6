"""Kafka Sandbox: all of Kafka that a developer needs, in one process and one SQLite file."""

from typing import TYPE_CHECKING, Any

from sandbox.version import __version__ as __version__

if TYPE_CHECKING:
    from sandbox.client import AdminClient as AdminClient
    from sandbox.client import Consumer as Consumer
    from sandbox.client import DeserializingConsumer as DeserializingConsumer
    from sandbox.client import Producer as Producer
    from sandbox.client import SerializingProducer as SerializingProducer
    from sandbox.errors import BrokerError as BrokerError
    from sandbox.errors import FileInUse as FileInUse
    from sandbox.errors import FileRefused as FileRefused
    from sandbox.errors import SandboxError as SandboxError
    from sandbox.event import Event as Event
    from sandbox.event import NewEvent as NewEvent
    from sandbox.generator.template import EventTemplate as EventTemplate
    from sandbox.sandbox import Sandbox as Sandbox
    from sandbox.wire.listener import Listener as Listener
    from sandbox.wire.listener import TlsFiles as TlsFiles

# Loaded when first asked for: the command line must not wait for the Kafka client, nor a notebook for the web server.
_MODULES = {
    "AdminClient": "sandbox.client",
    "BrokerError": "sandbox.errors",
    "Consumer": "sandbox.client",
    "DeserializingConsumer": "sandbox.client",
    "Event": "sandbox.event",
    "EventTemplate": "sandbox.generator.template",
    "FileInUse": "sandbox.errors",
    "FileRefused": "sandbox.errors",
    "Listener": "sandbox.wire.listener",
    "NewEvent": "sandbox.event",
    "Producer": "sandbox.client",
    "Sandbox": "sandbox.sandbox",
    "SandboxError": "sandbox.errors",
    "SerializingProducer": "sandbox.client",
    "TlsFiles": "sandbox.wire.listener",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'sandbox' has no attribute {name!r}")
    from importlib import import_module

    from sandbox.collector import resting_collector

    with resting_collector():
        found = getattr(import_module(module), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
