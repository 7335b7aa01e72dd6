"""Builds large answers in steps, so that other clients are served between them.

Metadata, DescribeConfigs, DescribeLogDirs, DescribeProducers, ListOffsets and OffsetForLeaderEpoch may be about tens of
thousands of partitions. An API yields where it can be interrupted; an answer that never yields costs nothing more than
before. As in Kafka, later requests of the connection are handled after the answer. Topics may be created or deleted
between two steps, so an answer is the state of each topic at the time at which it was described.
"""

import logging
from collections.abc import Generator, Iterator, Sequence

from sandbox.broker.reply import Reply
from sandbox.kafka.errors import BrokerError
from sandbox.storage.file.failure import StorageFailed
from sandbox.wire.messages import messages
from sandbox.wire.node import Answer, Request
from sandbox.wire.refusals import refuse
from sandbox.wire.time_slices import Steps

PARTITIONS_PER_STEP = 100
"""After how many partitions an answer can be interrupted."""

logger = logging.getLogger("sandbox.wire")

AnswerSteps = Generator[None, None, Answer]
"""Builds an answer. It can be interrupted at each `yield`."""
Elements = Iterator[Answer | None]
"""The elements of an answer's array; None at each point at which it can be interrupted."""


def answer_in_steps(request: Request, steps: AnswerSteps) -> Answer | Reply[Answer]:
    """Return the answer if it has one step, otherwise a reply, which later turns set.

    What the first step writes belongs to the turn of the request: if that can't be committed, the request is refused.
    Later steps must not write.
    """
    try:
        next(steps)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    return _answer_later(request, steps)


def _answer_later(request: Request, steps: AnswerSteps) -> Reply[Answer]:
    failed: list[BrokerError] = []
    broker = request.node.broker
    if broker.uncommitted:
        broker.turn.wait(lambda error: None if error is None else failed.append(error))
    reply: Reply[Answer] = Reply()
    rest = _rest(request, steps, reply, failed)
    reply.drop = rest.close
    request.node.slices.run(rest, from_memory=True)
    return reply


def _rest(request: Request, steps: AnswerSteps, reply: Reply[Answer], failed: Sequence[BrokerError]) -> Steps:
    try:
        yield
        answer = yield from steps
    except StorageFailed as error:
        request.node.broker.on_failure(error)
        answer = refuse(request, BrokerError("KAFKA_STORAGE_ERROR"))
    except Exception:
        logger.exception("an answer to %s failed", request.client_host)
        answer = refuse(request, BrokerError("UNKNOWN_SERVER_ERROR"))
    reply.set(refuse(request, failed[0]) if failed else answer)


def array_in_steps(
    request: Request, name: str, elements: Elements
) -> Generator[None, None, "Sequence[Answer] | messages.EncodedArray"]:
    """Collect the elements of the answer's array `name`, and encode those before each interruption.

    Without that, encoding the whole answer would be one step.
    """
    described: list[Answer] = []
    encoded = messages.EncodedArray()
    for one in elements:
        if one is not None:
            described.append(one)
            continue
        encoded += messages.encode_elements(request.key, request.version, name, described)
        described.clear()
        yield
    if not encoded:
        return described
    encoded += messages.encode_elements(request.key, request.version, name, described)
    return encoded
