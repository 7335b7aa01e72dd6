"""Brokers, clients and faults as JSON, one function per type. Scripts rely on the field names; don't change them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sandbox.model.brokers import ApiUse, BrokerDescription, ClientDescription
from sandbox.model.faults import Fault
from sandbox.model.topics import TopicDescription


def broker_json(broker: BrokerDescription) -> dict[str, Any]:
    """One broker."""
    return {
        "broker": broker.broker,
        "up": broker.up,
        "address": broker.address,
        "controller": broker.controller,
        "leader_count": broker.leader_count,
        "replica_count": broker.replica_count,
        "out_of_sync_count": broker.out_of_sync_count,
    }


def leaders_json(topics: Iterable[TopicDescription]) -> list[dict[str, Any]]:
    """The leader of each partition."""
    return [
        {
            "topic": topic.topic,
            "partition": partition.partition,
            "leader": partition.leader,
            "leader_epoch": partition.leader_epoch,
            "replicas": list(partition.replicas),
            "isr": list(partition.isr),
        }
        for topic in topics
        for partition in topic.partitions
    ]


def all_uses(clients: Iterable[ClientDescription]) -> list[ApiUse]:
    """The requests of all connections together, most frequent API first."""
    by_api: dict[str, list[ApiUse]] = {}
    for client in clients:
        for use in client.apis:
            by_api.setdefault(use.api, []).append(use)
    found = []
    for api, uses in by_api.items():
        timed = [(use.mean_ms, use.requests) for use in uses if use.mean_ms is not None]
        requests = sum(count for _, count in timed)
        found.append(
            ApiUse(
                api,
                sum(use.requests for use in uses),
                sum(mean_ms * count for mean_ms, count in timed) / requests if requests else None,
                max((use.max_ms for use in uses if use.max_ms is not None), default=None),
            )
        )
    return sorted(found, key=lambda use: (-use.requests, use.api))


def client_json(client: ClientDescription) -> dict[str, Any]:
    """One connection of a client."""
    return {
        "client_id": client.client_id,
        "address": client.address,
        "broker": client.broker,
        "software": client.software,
        "connected_ms": client.connected_ms,
        "apis": [asdict(use) for use in client.apis],
    }


def fault_json(fault: Fault) -> dict[str, Any]:
    """One injected fault, with a text."""
    return {**asdict(fault), "used_up": fault.used_up, "text": fault.text()}
