"""The admin clients of Java, confluent-kafka and kafka-python, call by call: the same outcome as with Apache Kafka."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import ElectionType, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka import KafkaAdminClient
from kafka import TopicPartition as PythonTopicPartition
from kafka.admin import NewTopic as PythonNewTopic
from kafka.errors import ElectionNotNeededError, SecurityDisabledError

from tests.clients.apache_kafka import KafkaUnavailableError, find_or_fetch
from tests.clients.conftest import Kafka
from tests.clients.processes import ROOT
from tests.clients.waiting import eventually, until_listed
from tests.wire.raw_client import RawClient

pytestmark = [pytest.mark.clients, pytest.mark.timeout(90)]

PROGRAM = ROOT / "tests" / "clients" / "programs" / "java_admin"
PROGRAM_S = 80

Unique = Callable[[str], str]


def test_every_call_of_javas_admin_has_its_outcome(kafka: Kafka, unique: Unique) -> None:
    try:
        jars = find_or_fetch()
    except KafkaUnavailableError as missing:
        pytest.skip(f"no Java client: {missing}")
    command = ["java", "-cp", f"{jars}/*", str(PROGRAM / "AdminProgram.java"), kafka.bootstrap, unique("java")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_S, check=False)
    found = [line for line in done.stdout.splitlines() if line.count("\t") == 1 and not line[0].isdigit()]
    assert found == (PROGRAM / "outcomes.txt").read_text(encoding="utf-8").splitlines(), done.stderr[-2000:]


@pytest.fixture
def admin(kafka: Kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap})


@pytest.fixture
def topic(kafka: Kafka, admin: AdminClient, unique: Unique) -> str:
    name = unique("admin")
    admin.create_topics([NewTopic(name, num_partitions=2)])[name].result(timeout=15)
    until_listed(admin, name)
    _await_leaders(kafka, name)
    return name


def _await_leaders(kafka: Kafka, topic: str) -> None:
    raw = RawClient(kafka.bootstrap)
    for partition in (0, 1):
        eventually(
            lambda partition=partition: raw.list_offset(topic, -1, partition=partition).error_code == 0,  # type: ignore[misc]
            10,
            lambda: "a partition has no leader",
        )
    raw.close()


def error_of(call: Callable[[], Any]) -> str:
    """The name of the error that a call must end with."""
    with pytest.raises(KafkaException) as refused:
        call()
    name: str = refused.value.args[0].name()
    return name


def test_confluents_client_is_told_that_there_is_no_authorizer(admin: AdminClient) -> None:
    acl = AclBinding(
        ResourceType.TOPIC,
        "orders",
        ResourcePatternType.LITERAL,
        "User:a",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    anything: Any = None
    every = AclBindingFilter(
        ResourceType.ANY, anything, ResourcePatternType.ANY, anything, anything, AclOperation.ANY, AclPermissionType.ANY
    )
    assert error_of(lambda: admin.create_acls([acl])[acl].result(15)) == "SECURITY_DISABLED"
    # It reports no error when ACLs are described, as with Apache Kafka.
    assert admin.describe_acls(every).result(15) == []
    assert error_of(lambda: admin.delete_acls([every])[every].result(15)) == "SECURITY_DISABLED"


def test_confluents_client_deletes_records_and_elects_leaders(admin: AdminClient, topic: str) -> None:
    place, beyond = TopicPartition(topic, 0, -1), TopicPartition(topic, 1, 7)
    deleted = admin.delete_records([place, beyond])
    assert deleted[place].result(15).low_watermark == 0
    assert error_of(lambda: deleted[beyond].result(15)) == "OFFSET_OUT_OF_RANGE"
    elected = admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, 0)]).result(15)
    assert [error.code() for error in elected.values()] == [KafkaError.ELECTION_NOT_NEEDED]


def test_confluents_client_writes_scram_credentials(admin: AdminClient, unique: Unique) -> None:
    user = unique("user")
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192)
    assert (
        admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, info, b"secret")])[user].result(15)
        is None
    )
    described = _scram(admin, user)
    assert [(one.mechanism, one.iterations) for one in described.scram_credential_infos] == [
        (ScramMechanism.SCRAM_SHA_512, 8192)
    ]
    deletion = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)
    assert admin.alter_user_scram_credentials([deletion])[user].result(15) is None
    eventually(lambda: _is_nobody(admin, user), 10, lambda: "the credential is still there")
    again = admin.alter_user_scram_credentials([deletion])
    assert error_of(lambda: again[user].result(15)) == "RESOURCE_NOT_FOUND"


def _scram(admin: Any, user: str) -> Any:
    eventually(lambda: not _is_nobody(admin, user), 10, lambda: "there is no credential")
    return admin.describe_user_scram_credentials([user])[user].result(15)


def _is_nobody(admin: Any, user: str) -> bool:
    try:
        admin.describe_user_scram_credentials([user])[user].result(15)
    except KafkaException as error:
        return bool(error.args[0].name() == "RESOURCE_NOT_FOUND")
    return False


def test_confluents_client_alters_brokers_and_is_told_what_everybody_may_do(admin: AdminClient, topic: str) -> None:
    def alter(name: str, value: str) -> Any:
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
        return admin.incremental_alter_configs([resource])[resource].result(15)

    assert alter("log.cleaner.threads", "1") is None
    assert error_of(lambda: alter("num.partitions", "2")) == "INVALID_REQUEST"
    resource = ConfigResource(ResourceType.BROKER, "1")
    assert admin.describe_configs([resource])[resource].result(15)["node.id"].value == "1"
    cluster = admin.describe_cluster(include_authorized_operations=True).result(15)
    assert {one.name for one in cluster.authorized_operations} >= {"CREATE", "ALTER", "DESCRIBE", "CLUSTER_ACTION"}


@pytest.fixture
def python_admin(kafka: Kafka) -> Iterator[Any]:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    yield admin
    admin.close()


def test_kafka_python_administers_partitions_and_records(python_admin: Any, kafka: Kafka, unique: Unique) -> None:
    topic = unique("python")
    python_admin.create_topics([PythonNewTopic(topic, 2, 1)])
    _await_leaders(kafka, topic)
    place = PythonTopicPartition(topic, 0)
    assert python_admin.delete_records({place: -1})[place]["low_watermark"] == 0
    (described,) = python_admin.describe_topic_partitions([topic])["topics"]
    assert [one["partition_index"] for one in described["partitions"]] == [0, 1]
    assert python_admin.list_partition_reassignments([place]) in ({}, [], {"topics": []})
    (elected,) = python_admin.elect_leaders(0, {topic: [0]}).replica_election_results
    assert [one.error_code for one in elected.partition_result] == [ElectionNotNeededError.errno]
    eventually(
        lambda: _log_sizes(python_admin, topic) == {0: 0, 1: 0}, 10, lambda: str(_log_sizes(python_admin, topic))
    )


def _log_sizes(admin: Any, topic: str) -> dict[int, int]:
    found = admin.describe_log_dirs()
    directories = [one for broker in (found.values() if isinstance(found, dict) else found) for one in _results(broker)]
    return {
        partition["partition_index"]: partition["partition_size"]
        for directory in directories
        for described in directory["topics"]
        if described.get("name", described.get("topic")) == topic
        for partition in described["partitions"]
    }


def _results(broker: Any) -> Any:
    return broker.get("results", broker.get("log_dirs", [])) if isinstance(broker, dict) else broker


def test_kafka_python_describes_the_quorum_and_the_features(python_admin: Any) -> None:
    assert python_admin.describe_metadata_quorum()["topics"][0]["partitions"][0]["leader_id"] == 1
    assert "transaction.version" in str(python_admin.describe_features())
    assert python_admin.list_config_resources() is not None


def test_kafka_python_is_told_that_there_is_no_authorizer(python_admin: Any) -> None:
    from kafka.admin import ACLFilter, ACLOperation, ACLPermissionType, ResourcePattern
    from kafka.admin import ResourceType as PythonResourceType

    every = ACLFilter(
        "User:a", "*", ACLOperation.ANY, ACLPermissionType.ANY, ResourcePattern(PythonResourceType.TOPIC, "t")
    )
    with pytest.raises(SecurityDisabledError):
        python_admin.describe_acls(every)
