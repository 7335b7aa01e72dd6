"""The options of `sandbox up` for the schema registry's port."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

from sandbox.model.registry import CONFLICT_CODES
from sandbox.runtime.network import PORT_MAX

DEFAULT_PORT = 8081


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """How the schema registry is served.

    Attributes:
        ports: the ports to try, in this order; empty for no registry.
        conflict_code: the error code of an incompatible schema.
    """

    ports: tuple[int, ...]
    conflict_code: int


def registry_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, and pass their values as `registry`."""

    @click.option(
        "--registry-port",
        type=click.IntRange(0, PORT_MAX),
        help=f"Of the schema registry; 0 picks a free one.  [default: {DEFAULT_PORT}, or a free one if it is taken]",
    )
    @click.option("--no-registry", is_flag=True, help="Open no port for the schema registry.")
    @click.option(
        "--registry-conflict-code",
        type=click.Choice([str(code) for code in CONFLICT_CODES]),
        default=str(CONFLICT_CODES[0]),
        show_default=True,
        help="The registry's error code for an incompatible schema; Confluent's sends 40901 since December 2025.",
    )
    @wraps(command)
    def wrapped(
        *args: Any, registry_port: int | None, no_registry: bool, registry_conflict_code: str, **kwargs: Any
    ) -> Any:
        if no_registry and registry_port is not None:
            raise click.UsageError("--no-registry opens no port: it does not go with --registry-port.")
        ports = () if no_registry else (DEFAULT_PORT, 0) if registry_port is None else (registry_port,)
        return command(*args, registry=RegistryOptions(ports, int(registry_conflict_code)), **kwargs)

    return wrapped
