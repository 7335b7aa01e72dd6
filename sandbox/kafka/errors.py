"""Kafka's errors, and the sandbox's own.

One table with name, code and retriable flag from Kafka's protocol page
(https://kafka.apache.org/protocol#protocol_error_codes), and a sentence by the sandbox. Everything that returns, prints
or documents an error reads this table.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN_MAX = 120
_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True)
class KafkaError:
    """One row of Kafka's table of errors.

    Attributes:
        name: Kafka's name, in capitals.
        code: the number on the wire; 0 is no error.
        retriable: True if a client may send the same request again.
        text: its meaning, in one sentence.
    """

    name: str
    code: int
    retriable: bool
    text: str


TABLE = (
    KafkaError("UNKNOWN_SERVER_ERROR", -1, False, "The sandbox failed in a way that it did not expect; see its log."),
    KafkaError("NONE", 0, False, "No error."),
    KafkaError("OFFSET_OUT_OF_RANGE", 1, False, "The offset is outside the log of this partition."),
    KafkaError("CORRUPT_MESSAGE", 2, True, "A record batch does not match its checksum, or is malformed."),
    KafkaError("UNKNOWN_TOPIC_OR_PARTITION", 3, True, "There is no such topic or partition here."),
    KafkaError("LEADER_NOT_AVAILABLE", 5, True, "The partition has no leader at the moment."),
    KafkaError("NOT_LEADER_OR_FOLLOWER", 6, True, "This broker does not lead that partition."),
    KafkaError("REQUEST_TIMED_OUT", 7, True, "The request took longer than its time limit."),
    KafkaError("BROKER_NOT_AVAILABLE", 8, False, "The broker is not available."),
    KafkaError("REPLICA_NOT_AVAILABLE", 9, True, "The replica is not available."),
    KafkaError("MESSAGE_TOO_LARGE", 10, False, "The batch is larger than max.message.bytes of the topic."),
    KafkaError("OFFSET_METADATA_TOO_LARGE", 12, False, "The metadata of a committed offset is too long."),
    KafkaError("COORDINATOR_LOAD_IN_PROGRESS", 14, True, "The coordinator is still loading."),
    KafkaError("COORDINATOR_NOT_AVAILABLE", 15, True, "The coordinator is not available."),
    KafkaError("NOT_COORDINATOR", 16, True, "This broker is not the coordinator."),
    KafkaError("INVALID_TOPIC_EXCEPTION", 17, False, "The name is not one that a topic may have."),
    KafkaError("RECORD_LIST_TOO_LARGE", 18, False, "The request has more record batches than allowed."),
    KafkaError("NOT_ENOUGH_REPLICAS", 19, True, "Fewer replicas are in sync than min.insync.replicas asks."),
    KafkaError("NOT_ENOUGH_REPLICAS_AFTER_APPEND", 20, True, "Written, but to fewer replicas than asked."),
    KafkaError("INVALID_REQUIRED_ACKS", 21, False, "acks must be -1, 0 or 1."),
    KafkaError("ILLEGAL_GENERATION", 22, False, "The generation is not the group's current one."),
    KafkaError("INCONSISTENT_GROUP_PROTOCOL", 23, False, "The member shares no protocol with the group."),
    KafkaError("INVALID_GROUP_ID", 24, False, "The group id is empty or not valid."),
    KafkaError("UNKNOWN_MEMBER_ID", 25, False, "The group has no such member."),
    KafkaError("INVALID_SESSION_TIMEOUT", 26, False, "The session timeout is outside the broker's limits."),
    KafkaError("REBALANCE_IN_PROGRESS", 27, False, "The group is rebalancing: join again."),
    KafkaError("INVALID_COMMIT_OFFSET_SIZE", 28, False, "The commit is too large."),
    KafkaError("TOPIC_AUTHORIZATION_FAILED", 29, False, "Not authorized for this topic."),
    KafkaError("GROUP_AUTHORIZATION_FAILED", 30, False, "Not authorized for this group."),
    KafkaError("CLUSTER_AUTHORIZATION_FAILED", 31, False, "Not authorized for the cluster."),
    KafkaError("INVALID_TIMESTAMP", 32, False, "The timestamp is outside the range that the topic accepts."),
    KafkaError("UNSUPPORTED_SASL_MECHANISM", 33, False, "The SASL mechanism is not one that is offered."),
    KafkaError("ILLEGAL_SASL_STATE", 34, False, "The request does not fit the state of the SASL handshake."),
    KafkaError("UNSUPPORTED_VERSION", 35, False, "That version of the API is not supported here."),
    KafkaError("TOPIC_ALREADY_EXISTS", 36, False, "A topic of that name exists."),
    KafkaError("INVALID_PARTITIONS", 37, False, "The number of partitions is not valid."),
    KafkaError("INVALID_REPLICATION_FACTOR", 38, False, "The replication factor is larger than the number of brokers."),
    KafkaError("INVALID_REPLICA_ASSIGNMENT", 39, False, "The replica assignment is not valid."),
    KafkaError("INVALID_CONFIG", 40, False, "The setting or its value is not valid."),
    KafkaError("NOT_CONTROLLER", 41, True, "This broker is not the controller."),
    KafkaError("INVALID_REQUEST", 42, False, "The request is not one that makes sense."),
    KafkaError("UNSUPPORTED_FOR_MESSAGE_FORMAT", 43, False, "Only record batches of format 2 can be stored."),
    KafkaError("POLICY_VIOLATION", 44, False, "The request breaks a policy."),
    KafkaError("OUT_OF_ORDER_SEQUENCE_NUMBER", 45, False, "The producer left out a sequence number."),
    KafkaError("DUPLICATE_SEQUENCE_NUMBER", 46, False, "The sequence number was written before."),
    KafkaError("INVALID_PRODUCER_EPOCH", 47, False, "The epoch is older than the producer's current one."),
    KafkaError("INVALID_TXN_STATE", 48, False, "The transaction is not in a state that allows this."),
    KafkaError("INVALID_PRODUCER_ID_MAPPING", 49, False, "The producer id does not belong to that transactional id."),
    KafkaError("INVALID_TRANSACTION_TIMEOUT", 50, False, "The transaction timeout is larger than the broker's limit."),
    KafkaError("CONCURRENT_TRANSACTIONS", 51, True, "The producer's earlier transaction is still being ended."),
    KafkaError("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", 53, False, "Not authorized for this transactional id."),
    KafkaError("SECURITY_DISABLED", 54, False, "Security features are off: there is no authorizer."),
    KafkaError("OPERATION_NOT_ATTEMPTED", 55, False, "Not attempted, because another part of the request failed."),
    KafkaError("KAFKA_STORAGE_ERROR", 56, True, "The file could not be written; nothing of the request was stored."),
    KafkaError("LOG_DIR_NOT_FOUND", 57, False, "There is no such log directory."),
    KafkaError("SASL_AUTHENTICATION_FAILED", 58, False, "The user or the password is wrong."),
    KafkaError("UNKNOWN_PRODUCER_ID", 59, False, "The producer id is not known for this partition."),
    KafkaError("REASSIGNMENT_IN_PROGRESS", 60, False, "The partition is being reassigned."),
    KafkaError("DELEGATION_TOKEN_AUTH_DISABLED", 61, False, "Delegation tokens are off."),
    KafkaError("DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", 64, False, "Delegation tokens need authentication."),
    KafkaError("NON_EMPTY_GROUP", 68, False, "The group has members."),
    KafkaError("GROUP_ID_NOT_FOUND", 69, False, "There is no such group."),
    KafkaError("FETCH_SESSION_ID_NOT_FOUND", 70, True, "There is no such fetch session."),
    KafkaError("INVALID_FETCH_SESSION_EPOCH", 71, True, "The epoch is not the fetch session's next one."),
    KafkaError("LISTENER_NOT_FOUND", 72, True, "The leader has no listener of that name."),
    KafkaError("TOPIC_DELETION_DISABLED", 73, False, "Topics cannot be deleted: delete.topic.enable is false."),
    KafkaError("FENCED_LEADER_EPOCH", 74, True, "The leader epoch is older than the partition's."),
    KafkaError("UNKNOWN_LEADER_EPOCH", 75, True, "The leader epoch is newer than the partition's."),
    KafkaError("UNSUPPORTED_COMPRESSION_TYPE", 76, False, "The compression is not one that this request version has."),
    KafkaError("OFFSET_NOT_AVAILABLE", 78, True, "The offset is not available yet."),
    KafkaError("MEMBER_ID_REQUIRED", 79, False, "Join again with the member id that this answer gives."),
    KafkaError("PREFERRED_LEADER_NOT_AVAILABLE", 80, True, "The preferred leader is not available."),
    KafkaError("GROUP_MAX_SIZE_REACHED", 81, False, "The group has as many members as it may have."),
    KafkaError("FENCED_INSTANCE_ID", 82, False, "Another member has taken over this group.instance.id."),
    KafkaError("ELIGIBLE_LEADERS_NOT_AVAILABLE", 83, True, "No replica is eligible as leader."),
    KafkaError("ELECTION_NOT_NEEDED", 84, True, "The leader is the preferred one already."),
    KafkaError("NO_REASSIGNMENT_IN_PROGRESS", 85, False, "No reassignment is in progress."),
    KafkaError("GROUP_SUBSCRIBED_TO_TOPIC", 86, False, "A member of the group is subscribed to the topic."),
    KafkaError("INVALID_RECORD", 87, False, "A record is malformed, or not what this topic accepts."),
    KafkaError("UNSTABLE_OFFSET_COMMIT", 88, True, "An open transaction holds a commit for this partition."),
    KafkaError("THROTTLING_QUOTA_EXCEEDED", 89, True, "A quota is used up."),
    KafkaError("PRODUCER_FENCED", 90, False, "A newer producer has the same transactional id."),
    KafkaError("RESOURCE_NOT_FOUND", 91, False, "There is no such resource."),
    KafkaError("DUPLICATE_RESOURCE", 92, False, "The resource exists."),
    KafkaError("UNACCEPTABLE_CREDENTIAL", 93, False, "The credential is not one that is accepted."),
    KafkaError("INVALID_UPDATE_VERSION", 95, False, "The feature cannot have that version."),
    KafkaError("UNKNOWN_TOPIC_ID", 100, True, "There is no topic with that id."),
    KafkaError("BROKER_ID_NOT_REGISTERED", 102, False, "There is no broker of that id."),
    KafkaError("INCONSISTENT_TOPIC_ID", 103, True, "The topic id does not belong to that topic."),
    KafkaError("INCONSISTENT_CLUSTER_ID", 104, False, "The cluster id is not this cluster's."),
    KafkaError("TRANSACTIONAL_ID_NOT_FOUND", 105, False, "There is no such transactional id."),
    KafkaError("FETCH_SESSION_TOPIC_ID_ERROR", 106, True, "A fetch session mixes topic names and topic ids."),
    KafkaError("FENCED_MEMBER_EPOCH", 110, False, "The member epoch is older than the member's current one."),
    KafkaError("UNRELEASED_INSTANCE_ID", 111, False, "Another member still has this group.instance.id."),
    KafkaError("UNSUPPORTED_ASSIGNOR", 112, False, "There is no assignor of that name."),
    KafkaError("STALE_MEMBER_EPOCH", 113, False, "The member epoch is stale: ask for the current one."),
    KafkaError("MISMATCHED_ENDPOINT_TYPE", 114, False, "The endpoint is not of the type that was asked for."),
    KafkaError("UNKNOWN_SUBSCRIPTION_ID", 117, False, "The telemetry subscription is not known."),
    KafkaError("TELEMETRY_TOO_LARGE", 118, False, "The telemetry is too large."),
    KafkaError("TRANSACTION_ABORTABLE", 120, False, "The transaction must be aborted."),
    KafkaError("INVALID_RECORD_STATE", 121, False, "The record is not in a state that allows this."),
    KafkaError("SHARE_SESSION_NOT_FOUND", 122, True, "There is no such share session."),
    KafkaError("INVALID_SHARE_SESSION_EPOCH", 123, True, "The epoch is not the share session's next one."),
    KafkaError("INVALID_REGULAR_EXPRESSION", 128, False, "The regular expression is not valid."),
    KafkaError("REBOOTSTRAP_REQUIRED", 129, False, "The client is connected to another cluster or broker."),
    KafkaError("SHARE_SESSION_LIMIT_REACHED", 133, True, "The broker has as many share sessions as it may have."),
    KafkaError("CONTROLLER_ID_NOT_REGISTERED", 136, False, "There is no controller of that id."),
)

NO_TOPIC = "This server does not host this topic-partition."
NO_TOPIC_ID = "This server does not host this topic ID."
NOT_AVAILABLE = "The coordinator is not available."
MALFORMED = (
    "This most likely occurs because of a request being malformed by the client library or the message was sent to an "
    "incompatible broker. See the broker logs for more details."
)
"""Kafka's own texts of UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, COORDINATOR_NOT_AVAILABLE and INVALID_REQUEST.

Its tools print them.
"""

BY_NAME = {error.name: error for error in TABLE}
BY_CODE = {error.code: error for error in TABLE}
CODE = {error.name: error.code for error in TABLE}


class SandboxError(Exception):
    """Base class of all errors of the sandbox."""


class BrokerError(SandboxError):
    """A request that is refused with one of Kafka's errors.

    Args:
        name: the error's name in `TABLE`.
        detail: a sentence for the user; None for the table's text.

    Attributes:
        error: the row of `TABLE`.
    """

    def __init__(self, name: str, detail: str | None = None) -> None:
        self.error = BY_NAME[name]
        self.detail = detail or self.error.text
        super().__init__(f"{name}: {self.detail}")

    @property
    def code(self) -> int:
        """The number on the wire."""
        return self.error.code


def shown_name(name: str) -> str:
    """Format a requested name for an error: quoted and shortened unless it is a valid topic name.

    Without quotes, any text in a URL would look like the page's own words.
    """
    return name if _PLAIN.fullmatch(name) else repr(name if len(name) <= SHOWN_MAX else name[: SHOWN_MAX - 1] + "…")


class RecordsRefused(BrokerError):
    """Some records of a batch are not accepted by the topic (KIP-467). None of the batch is stored.

    Args:
        name: INVALID_TIMESTAMP if any timestamp is refused, else INVALID_RECORD.
        records: (position in the batch, reason) of each refused record.

    Attributes:
        records: the same, as a tuple.
    """

    def __init__(self, name: str, records: Sequence[tuple[int, str]]) -> None:
        self.records = tuple(records)
        count = len(self.records)
        more = f" {count:,} records of the batch are refused." if count > 1 else ""
        super().__init__(name, f"{self.records[0][1]}.{more}")


class ClusterAway(BrokerError):
    """A cluster (not a sandbox file) doesn't answer. It may come back.

    Args:
        detail: a sentence with the reason and what to do.
    """

    def __init__(self, detail: str) -> None:
        super().__init__("BROKER_NOT_AVAILABLE", detail)


class EventsDamaged(BrokerError):
    """Events in the file are damaged: a disk, or another program, changed them.

    Attributes:
        topic, partition: the partition of the events.
        first_offset, last_offset: the offsets of their record batch, both included.
    """

    def __init__(self, topic: str, partition: int, first_offset: int, last_offset: int) -> None:
        self.topic = topic
        self.partition = partition
        self.first_offset = first_offset
        self.last_offset = last_offset
        what = f"offset {first_offset}" if first_offset == last_offset else f"offsets {first_offset} to {last_offset}"
        super().__init__(
            "CORRUPT_MESSAGE",
            f"{topic}-{partition}, {what}: the file is damaged, these events are not as they were written. Go back to "
            f"a snapshot or a copy; or skip them: read from offset {last_offset + 1}, or delete the records "
            "before it.",
        )


class FileRefused(SandboxError):
    """The file can't be used (not SQLite, foreign, newer, damaged). It was not changed."""


class NoSandboxFile(FileRefused):
    """The file isn't an SQLite database, or it is the database of another program."""


class FileInUse(SandboxError):
    """Another process owns the file.

    Attributes:
        owner: the content of its lock file: `pid`, `kafka`, `web` (addresses, or None while it starts).

    Args:
        other_name: True if the owner opened the file under another name, or its lock file was deleted.
        silent: True if the owner's Kafka address does not answer.
    """

    def __init__(self, path: str, owner: dict[str, object], *, other_name: bool = False, silent: bool = False) -> None:
        self.path = path
        self.owner = owner
        where = [f"{name} {owner[key]}" for name, key in (("Kafka", "kafka"), ("page", "web")) if owner.get(key)]
        places = f", {', '.join(where)}" if where else ""
        way_out = "Connect to that address, or stop that process first."
        if silent:
            way_out = (
                "Its Kafka address does not answer. If its brokers are stopped, start one: sandbox brokers start 1. "
                "Otherwise stop that process first."
            )
        if other_name:
            way_out = (
                "It opened the file under another name (a hard link, or a file mounted alone), or its lock file was "
                "deleted. Stop that process first."
            )
        super().__init__(f"{path} is in use by process {owner.get('pid', '?')}{places}. {way_out}")
