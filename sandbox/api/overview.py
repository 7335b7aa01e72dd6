"""The summary of a sandbox."""

import os

from sandbox.model.file_path import shown_path
from sandbox.model.overview import Overview
from sandbox.runtime.runtime import Runtime
from sandbox.storage.log import topic_descriptions
from sandbox.version import __version__


def overview_of(runtime: Runtime) -> Overview:
    """Return the summary of a sandbox."""
    with runtime.database.reader() as reader:
        topics, groups, events = topic_descriptions.totals(reader)
    return Overview(
        file=shown_path(runtime.database.path),
        size_bytes=runtime.database.size_bytes(),
        kafka=runtime.kafka_address,
        web=runtime.web_address,
        cluster_id=runtime.broker.cluster_id,
        version=__version__,
        pid=os.getpid(),
        started_ms=runtime.started_ms,
        topics=topics,
        events=events,
        groups=groups,
        as_of_ms=runtime.clock(),
    )
