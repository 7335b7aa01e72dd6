"""Ports that stay free between a look and the program that listens there."""

import random
import socket
from contextlib import ExitStack, suppress

PORTS = range(20_000, 32_000)
"""Below those that systems give away by themselves, to any other program's connection."""


def free_port(count: int = 1) -> int:
    """The first of several consecutive free loopback ports."""
    while True:
        first = random.choice(PORTS)
        with ExitStack() as trials, suppress(OSError):
            for port in range(first, first + count):
                trials.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
