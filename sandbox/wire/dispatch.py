"""Decodes requests, calls their API, and encodes the answers."""

import logging
from types import SimpleNamespace
from uuid import UUID

from sandbox.broker.reply import Reply
from sandbox.kafka.client_text import shortened
from sandbox.kafka.errors import CODE, BrokerError
from sandbox.model.faults import Fault
from sandbox.storage.file.database import StorageFailed
from sandbox.wire.api_table import API_BY_KEY, API_VERSIONS, PRODUCE, Api
from sandbox.wire.auth.sasl import SaslSession
from sandbox.wire.connection import ProtocolViolation, Slot, is_software
from sandbox.wire.messages import messages
from sandbox.wire.node import Answer, Node, Request
from sandbox.wire.refusals import KEYS, refuse, refused, too_long

OFFSET_COMMIT, DELETE_RECORDS, TXN_OFFSET_COMMIT = 8, 21, 28
SASL_AUTHENTICATE = 36
HOLDS = frozenset(
    (PRODUCE, 2, 3, OFFSET_COMMIT, 19, 20, DELETE_RECORDS, 23, TXN_OFFSET_COMMIT, 32, 35, SASL_AUTHENTICATE, 61)
)
"""Requests that must be answered before the next request of their connection is handled: those that run in steps, such
as ListOffsets, Metadata, OffsetForLeaderEpoch, DescribeConfigs, DescribeLogDirs and DescribeProducers, and logins."""
AFTER_END = frozenset((PRODUCE, 22, 24, 25, 26, TXN_OFFSET_COMMIT))
"""Produce, InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn and TxnOffsetCommit: requests of a transactional
producer, which Kafka refuses with CONCURRENT_TRANSACTIONS until its previous transaction has ended."""
NO_ID = UUID(int=0)
READS = frozenset((1, 2, 17, API_VERSIONS, SASL_AUTHENTICATE))
"""Fetch, ListOffsets, SaslHandshake, ApiVersions and SaslAuthenticate.

Their answers contain only committed data, so they neither wait for the commit of other requests nor fail with it.
"""
NEVER_THROTTLED = frozenset((17, SASL_AUTHENTICATE, 55))
"""SaslHandshake, SaslAuthenticate and DescribeQuorum, whose answers have no throttle time."""
TURN_EVENTS_MAX = 10_000
"""A turn is committed early once it has this many events, to limit how long others wait."""

logger = logging.getLogger("sandbox.wire")


class Dispatcher:
    """Passes each request to its API, and sends its answer when it is durable.

    Args:
        node: the node that the APIs use.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self._read_only = node.broker.database.read_only

    def dispatch(
        self, frame: bytes, slot: Slot, host: str, port: int, client_host: str, sasl: SaslSession | None = None
    ) -> None:
        """Handle one request.

        Raises:
            ProtocolViolation: the request can't be decoded, or its API or version isn't supported.
        """
        try:
            header = messages.decode_header(frame)
        except (messages.MalformedMessage, messages.UnsupportedVersion) as error:
            raise ProtocolViolation(str(error)) from error
        client_id = None if header.client_id is None else shortened(header.client_id)
        api = API_BY_KEY.get(header.api_key)
        if api is None:
            raise ProtocolViolation(f"there is no API with the key {header.api_key} here (client {client_id!r})")
        if not api.first <= header.api_version <= api.last:
            self._refuse_version(api, header.api_version, header.correlation_id, slot)
            return
        try:
            body, _ = messages.decode_request(header.api_key, header.api_version, frame, header.body_offset)
        except messages.MalformedMessage as error:
            raise ProtocolViolation(str(error)) from error
        usage = slot.asked(header.api_key, client_id)
        if header.api_key == API_VERSIONS and is_software(body.client_software_name, body.client_software_version):
            usage.software = shortened(f"{body.client_software_name} {body.client_software_version}")
        request = Request(
            header.api_key,
            header.api_version,
            client_id,
            body,
            self.node,
            host,
            port,
            client_host,
            sasl,
            slot.at_end,
            slot.looked_up,
        )
        if self.node.advertised_address is not None:
            self.node.lost_clients.saw(request)
        prefix = messages.response_header(header.api_key, header.api_version, header.correlation_id)
        if self.node.faults and api.key != API_VERSIONS:
            self._inject(api, request, prefix, slot)
        else:
            self._handle(api, request, prefix, slot)

    def _inject(self, api: Api, request: Request, prefix: bytes, slot: Slot) -> None:
        """Handle a request that an injected fault may affect."""
        node = self.node
        if request.key in AFTER_END and node.faults.is_ending(transactional_id(request)):
            error = BrokerError("CONCURRENT_TRANSACTIONS", "Injected: the previous transaction has not ended yet.")
            self._finish(api, request, prefix, slot, _failed(request, error), None)
            return
        fault = node.faults.match(
            api.name, lambda: named_topics(request), request.client_id, node.node_id, node.now_ms()
        )
        if fault is None:
            self._handle(api, request, prefix, slot)
            return
        logger.warning(
            "injected fault %d hits %s of client %r: %s", fault.id, api.name, request.client_id, fault.text()
        )

        def go_on() -> None:
            if fault.drop:
                slot.abort()
            elif fault.error is not None:
                error = BrokerError(fault.error, f"Injected: {fault.text()}")
                self._finish(api, request, prefix, slot, _failed(request, error), None)
            else:
                self._handle(api, request, prefix, slot, fault)
            node.after()

        if fault.latency_ms:
            slot.holds = True
            node.call_later(fault.latency_ms, go_on)
        else:
            go_on()

    def _refuse_version(self, api: Api, version: int, correlation_id: int, slot: Slot) -> None:
        if api.key != API_VERSIONS:
            raise ProtocolViolation(f"{api.name} version {version} is not supported: {api.first} to {api.last} are")
        answer = {"error_code": CODE["UNSUPPORTED_VERSION"], "api_keys": self.node.advertised}
        slot.set(
            messages.response_header(API_VERSIONS, 0, correlation_id)
            + messages.encode_response(API_VERSIONS, 0, answer)
        )

    def _handle(self, api: Api, request: Request, prefix: bytes, slot: Slot, fault: Fault | None = None) -> None:
        if slot.gone:
            return
        if self._read_only and (error := refused(request)) is not None:
            self._refuse_change(api, request, prefix, slot, error)
            return
        try:
            answer = self._too_long(request) or self._misplaced(request) or api.handle(request)
        except StorageFailed as error:
            self.node.broker.turn.wait(lambda failed: self._finish(api, request, prefix, slot, None, failed))
            self.node.broker.undo(error)
            return
        throttle_ms = 0 if fault is None else fault.throttle_ms
        if fault is not None and answer is not None and not isinstance(answer, Reply):
            self._end_slowly(request, answer, fault)
        if isinstance(answer, Reply):
            # Requests after SaslAuthenticate must wait until the client is authenticated, and those after a long
            # write until all of it is written.
            slot.holds = slot.holds or (api.key in HOLDS and not answer.done)
            slot.dropped = answer.drop
            stored = answer.stored

            def hold(given: Answer | None) -> None:
                self._hold(api, request, prefix, slot, _throttled(api, given, throttle_ms), stored=stored)

            answer.on_done(hold)
        else:
            self._hold(api, request, prefix, slot, _throttled(api, answer, throttle_ms))
        if self.node.broker.turn.events > TURN_EVENTS_MAX:
            self.node.broker.commit()

    def _end_slowly(self, request: Request, answer: Answer, fault: Fault) -> None:
        """Keep a transaction that has just ended from having ended, for the fault's `transaction_end_ms`.

        This time is the machine's, as the latency's is, because the sandbox's clock may be frozen.
        """
        node = self.node
        if not fault.transaction_end_ms or answer["error_code"] != CODE["NONE"]:
            return
        ended = node.faults.keep_ending(request.body.transactional_id, fault)
        node.call_later(fault.transaction_end_ms, ended)
        # A transaction whose end could not be stored is still open, and its producer ends it again.
        node.broker.turn.wait(lambda error: None if error is None else ended())

    def _refuse_change(self, api: Api, request: Request, prefix: bytes, slot: Slot, error: BrokerError) -> None:
        """Refuse a change to a read-only sandbox. As in Kafka, acks=0 closes the connection instead of answering."""
        logger.info("%s of client %r is refused: %s", api.name, request.client_id, error.detail)
        if request.key == PRODUCE and request.body.acks == 0:
            slot.abort()
        else:
            self._finish(api, request, prefix, slot, refuse(request, error), None)

    def _too_long(self, request: Request) -> Answer | None:
        error = too_long(request)
        return None if error is None else refuse(request, error)

    def _misplaced(self, request: Request) -> Answer | None:
        """Return the error for a request that another broker coordinates, or None."""
        keys = KEYS.get(request.key)
        cluster = self.node.broker.cluster
        if keys is None or len(cluster.ids) == 1:
            return None
        if all(cluster.coordinator(key) == self.node.node_id for key in keys(request.body)):
            return None
        return refuse(request, BrokerError("NOT_COORDINATOR"))

    def _hold(
        self, api: Api, request: Request, prefix: bytes, slot: Slot, answer: Answer | None, *, stored: bool = False
    ) -> None:
        """Answer now, or after the commit if this turn has changes that wait for it."""
        if self.node.broker.uncommitted and request.key not in READS and not stored:
            self.node.broker.turn.wait(lambda error: self._finish(api, request, prefix, slot, answer, error))
        else:
            self._finish(api, request, prefix, slot, answer, None)

    def _finish(
        self,
        api: Api,
        request: Request,
        prefix: bytes,
        slot: Slot,
        answer: Answer | None,
        error: BrokerError | None,
    ) -> None:
        if error is not None:
            # The storage failure is logged once by the code that watches the file, not for each affected request.
            logger.debug("%s of client %r: %s", api.name, request.client_id, error.detail)
            # As in Kafka, requests of groups and transactions get COORDINATOR_NOT_AVAILABLE.
            answer = _failed(request, BrokerError("COORDINATOR_NOT_AVAILABLE") if request.key in KEYS else error)
        try:
            encoded = None if answer is None else messages.encode_response(request.key, request.version, answer)
        except Exception:
            logger.exception("the answer to %s of %s failed; its connection is closed", api.name, request.client_host)
            slot.abort()
            return
        slot.set(encoded, prefix)


def transactional_id(request: Request) -> str | None:
    """Return the transactional id of a producer's request, or None."""
    found = getattr(request.body, "transactional_id", None) or getattr(
        request.body, "v3_and_below_transactional_id", None
    )
    return found if isinstance(found, str) and found else None


def named_topics(request: Request) -> set[str]:
    """Return the topics that a request names, by name or id."""
    found: set[str] = set()
    by_id = request.node.broker.topics_by_id
    for array in vars(request.body).values():
        for one in array if isinstance(array, list) else ():
            if isinstance(one, str):
                found.add(one)
            elif isinstance(one, SimpleNamespace):
                name = getattr(one, "name", None) or getattr(one, "topic", None)
                topic = by_id.get(getattr(one, "topic_id", NO_ID))
                found.update(([name] if isinstance(name, str) else []) + ([topic.name] if topic else []))
    return found


def _throttled(api: Api, answer: Answer | None, throttle_ms: int) -> Answer | None:
    if not throttle_ms or answer is None or api.key in NEVER_THROTTLED:
        return answer
    return {**answer, "throttle_time_ms": throttle_ms}


def _failed(request: Request, error: BrokerError) -> Answer | None:
    """Return the answer to a request that fails with an error; None for acks=0, which expects none."""
    return None if request.key == PRODUCE and request.body.acks == 0 else refuse(request, error)
