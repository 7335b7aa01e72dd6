"""confluent_kafka's client of a schema registry, whose `url` may also be a sandbox file.

    from sandbox import AvroSerializer, SchemaRegistryClient
    client = SchemaRegistryClient({"url": "dev.db"})
    serializer = AvroSerializer(client, schema_text)

With a URL it is confluent_kafka's plain client. With a file it connects to the registry of the sandbox that owns it, or
starts one in this process, as the producers and consumers of `sandbox` do.
"""

import weakref
from collections.abc import Mapping
from typing import Any

from sandbox.client import embedded
from sandbox.client.client import sandbox_file
from sandbox.kafka.errors import SandboxError
from sandbox.model.process import bind_to_process

try:
    from confluent_kafka import schema_registry
except ImportError as error:
    raise ImportError(
        f"The client of a schema registry needs the package {error.name!r}: "
        "pip install 'confluent-kafka[schemaregistry]'; with serializers also [avro], [json] or [protobuf]"
    ) from error

URL, AUTHORIZATION = "url", "basic.auth.user.info"


class SchemaRegistryClient(schema_registry.SchemaRegistryClient):  # type: ignore[misc, unused-ignore]
    """confluent_kafka's SchemaRegistryClient; `url` may be a sandbox file.

    Raises:
        FileInUse: another process owns the file and can't be reached.
        SandboxError: the file's owner has no port open for its registry.
        FileRefused: the file can't be a sandbox.
    """

    def __init__(self, conf: Mapping[str, Any]) -> None:
        conf = dict(conf)
        path = sandbox_file(conf.get(URL))
        attachment = None if path is None else embedded.attach(path)
        if attachment is not None:
            if not attachment.registry:
                raise SandboxError(f"The process that owns {path} has no port open for its schema registry.")
            conf[URL] = attachment.registry
            if attachment.token:
                conf.setdefault(AUTHORIZATION, f"sandbox:{attachment.token}")
        try:
            super().__init__(conf)
        except BaseException:
            if attachment is not None:
                attachment.release()
            raise
        self._attachment = attachment
        if attachment is not None:
            bind_to_process(self)
            weakref.finalize(self, attachment.release_soon).atexit = False

    def __exit__(self, *exception: Any) -> Any:
        """End the client, and release the sandbox file."""
        try:
            return super().__exit__(*exception)  # type: ignore[no-untyped-call, unused-ignore]
        finally:
            if self._attachment is not None:
                self._attachment.release()
