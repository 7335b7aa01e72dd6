"""Opens listening sockets."""

import socket


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens, for an event loop.

    Args:
        host: the address, or a name of it.
        port: 0 picks a free one.
        backlog: how many connections the system queues until they are accepted.

    Raises:
        OSError: the address can't be used, with the operating system's reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small writes immediately (TCP_NODELAY) only if the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
