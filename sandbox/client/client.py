"""The client API: confluent_kafka's own classes, whose `bootstrap.servers` may also be a sandbox file.

    from sandbox import Producer
    producer = Producer({"bootstrap.servers": "dev.db"})

With an address they are that cluster's plain clients: the same program runs unchanged on Kafka itself. With a file they
connect to the sandbox that owns it, or start one in this process, on a free loopback port. The clients of one process
share it, and it ends with the last of them.

If another process owns the file and goes away, the clients report the same as for a broker that goes away
(`_TRANSPORT`, `_ALL_BROKERS_DOWN`), and continue when it is back at the same address.
"""

import logging
import os
import re
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.admin

from sandbox.client import embedded
from sandbox.kafka.errors import FileRefused
from sandbox.model.file_path import file_path
from sandbox.model.process import bind_to_process, is_inherited

SERVERS = ("bootstrap.servers", "metadata.broker.list")
"""librdkafka's two names for the bootstrap servers."""
FILE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
FLUSH_AT_EXIT_S = 10.0
_LOG_CRITICAL = 2

_ADDRESSES = re.compile(r"[^/\\,]+:\d+(\s*,\s*[^/\\,]+(:\d+)?)*\s*")
_log = logging.getLogger("sandbox")
open_producers: "weakref.WeakSet[confluent_kafka.Producer]" = weakref.WeakSet()
open_consumers: "weakref.WeakSet[confluent_kafka.Consumer]" = weakref.WeakSet()


def sandbox_file(servers: object) -> Path | None:
    """Distinguish a sandbox file from a cluster's address.

    Files are: a `pathlib` path; text that begins with `sqlite:` (`sqlite:dev.db`, `sqlite:///abs/dev.db`); and text
    without `host:port` that has a path separator or ends with .db, .sqlite or .sqlite3. Everything else is an address:
    `localhost`, `broker.db:9092`, `SSL://host:9093`.

    Args:
        servers: a value of `bootstrap.servers`.

    Returns:
        The path, with `~/` expanded, or None for an address.

    Raises:
        FileRefused: it can only mean a file, but names none (`sqlite:`, `:memory:`, `sqlite://dev.db`).
    """
    if isinstance(servers, os.PathLike):
        return file_path(servers)
    if not isinstance(servers, str):
        return None
    text = servers.strip()
    if text.lower().startswith("sqlite:"):
        return file_path(text)
    if text == ":memory:":
        raise FileRefused("A sandbox is a file, so that other programs can open it: name one instead of :memory:.")
    if "://" in text or _ADDRESSES.fullmatch(text):
        return None
    separators = {"/", os.sep, os.altsep or "/"}
    if any(separator in text for separator in separators) or text.lower().endswith(FILE_SUFFIXES):
        return file_path(text)
    return None


class Producer(confluent_kafka.Producer):
    """confluent_kafka's Producer; `bootstrap.servers` may be a sandbox file.

    With a file, events that are still queued when the program ends are sent then.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            super().__init__(*args, **kwargs)
        hold(self, self._attachment, open_producers)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the producer like confluent_kafka's, then release the sandbox file."""
        try:
            return super().close(*args, **kwargs)
        finally:
            let_go(self._attachment)

    def __exit__(self, *exception: Any) -> Any:
        if is_inherited(self):
            return None
        try:
            return super().__exit__(*exception)
        finally:
            let_go(self._attachment)


class Consumer(confluent_kafka.Consumer):
    """confluent_kafka's Consumer; `bootstrap.servers` may be a sandbox file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            super().__init__(*args, **kwargs)
        hold(self, self._attachment, open_consumers)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the consumer like confluent_kafka's, then release the sandbox file."""
        try:
            return super().close(*args, **kwargs)
        finally:
            let_go(self._attachment)

    def __exit__(self, *exception: Any) -> Any:
        if is_inherited(self):
            return None
        try:
            return super().__exit__(*exception)
        finally:
            let_go(self._attachment)


class AdminClient(confluent_kafka.admin.AdminClient):
    """confluent_kafka's AdminClient; `bootstrap.servers` may be a sandbox file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, attachment = connected(args, kwargs)
        if attachment is not None and attachment.held and not (args and "log_level" in args[0]):
            # An AdminClient can't be closed, so at exit the sandbox ends first, and the client must not log that.
            kwargs.setdefault("log_level", _LOG_CRITICAL)
        with Released(attachment):
            super().__init__(*args, **kwargs)
        hold(self, attachment, None)


class SerializingProducer(confluent_kafka.SerializingProducer[Any, Any]):
    """confluent_kafka's SerializingProducer; `bootstrap.servers` may be a sandbox file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, attachment = connected(args, kwargs)
        with Released(attachment):
            super().__init__(*args, **kwargs)
        hold(self, attachment, open_producers)


class DeserializingConsumer(confluent_kafka.DeserializingConsumer[Any, Any]):
    """confluent_kafka's DeserializingConsumer; `bootstrap.servers` may be a sandbox file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        args, kwargs, self._attachment = connected(args, kwargs)
        with Released(self._attachment):
            super().__init__(*args, **kwargs)
        hold(self, self._attachment, open_consumers)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the consumer like confluent_kafka's, then release the sandbox file."""
        try:
            return super().close(*args, **kwargs)
        finally:
            let_go(self._attachment)


class Released:
    """Releases the file if the block fails, because the client could not be created."""

    def __init__(self, attachment: embedded.Attachment | None) -> None:
        self._attachment = attachment

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            let_go(self._attachment)


def connected(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], embedded.Attachment | None]:
    """Return the arguments with a sandbox file replaced by its address."""
    if args and isinstance(args[0], Mapping):
        # A section of a ConfigParser is a Mapping, but librdkafka's binding requires a dict.
        args = (dict(args[0]), *args[1:])
    kwargs = dict(kwargs)
    for config in (kwargs, *args[:1]):
        for name in SERVERS:
            if not isinstance(config, dict) or name not in config:
                continue
            path = sandbox_file(config[name])
            if path is None:
                return args, kwargs, None
            attachment = embedded.attach(path)
            config[name] = attachment.address
            return args, kwargs, attachment
    return args, kwargs, None


def hold(client: Any, attachment: embedded.Attachment | None, kind: "weakref.WeakSet[Any] | None") -> None:
    """Keep the file as long as the client exists; `kind` is closed at exit."""
    if attachment is None:
        return
    bind_to_process(client)
    weakref.finalize(client, attachment.release_soon).atexit = False
    if kind is not None:
        kind.add(client)


def let_go(attachment: embedded.Attachment | None) -> None:
    """Release the file, if the client is on one."""
    if attachment is not None:
        attachment.release()


def _end_clients() -> None:
    for producer in list(open_producers):
        try:
            left = producer.flush(FLUSH_AT_EXIT_S)
        except RuntimeError:
            continue  # already closed
        if left:
            _log.warning("%d events were not acknowledged within %g s, and may be lost", left, FLUSH_AT_EXIT_S)
    # confluent_kafka's destructor would close them too, but only after the sandbox, which they need to leave their
    # group.
    if embedded.alone():
        clients: list[Any] = [*open_consumers, *open_producers]
        for client in clients:
            try:
                client.close()
            except RuntimeError:
                continue  # already closed


def _forget_the_parents() -> None:
    open_producers.clear()
    open_consumers.clear()


embedded.before_exit(_end_clients)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)
