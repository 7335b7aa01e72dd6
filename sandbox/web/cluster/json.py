"""Brokers, clients and faults as JSON, one function per type. Scripts rely on the field names; don't change them."""

from collections.abc import Iterable
from typing import Any

from sandbox.model.brokers import ApiUse, BrokerDescription, BrokerSetting, ClientDescription, LeaderMove
from sandbox.model.faults import Fault, Hit
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


def setting_json(setting: BrokerSetting) -> dict[str, Any]:
    """One broker setting that differs from its default; the value of a secret is null."""
    return {
        "name": setting.name,
        "value": setting.value,
        "default": setting.default,
        "source": setting.source,
        "in_effect": setting.in_effect,
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


def move_json(move: LeaderMove) -> dict[str, Any]:
    """A partition whose leader changes; -1 means no leader."""
    return {"topic": move.topic, "partition": move.partition, "before": move.before, "after": move.after}


def use_json(use: ApiUse) -> dict[str, Any]:
    """The number of requests of an API, and how long their answers took."""
    return {"api": use.api, "requests": use.requests, "mean_ms": use.mean_ms, "max_ms": use.max_ms}


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
        "apis": [use_json(use) for use in client.apis],
    }


def fault_json(fault: Fault) -> dict[str, Any]:
    """One injected fault."""
    return {
        "id": fault.id,
        "api": fault.api,
        "topic": fault.topic,
        "client_id": fault.client_id,
        "broker": fault.broker,
        "latency_ms": fault.latency_ms,
        "error": fault.error,
        "drop": fault.drop,
        "throttle_ms": fault.throttle_ms,
        "probability": fault.probability,
        "times": fault.times,
        "hits": fault.hits,
        "used_up": fault.used_up,
        "text": fault.text(),
    }


def hit_json(hit: Hit) -> dict[str, Any]:
    """One request that a fault hit."""
    return {
        "at_ms": hit.at_ms,
        "fault": hit.fault,
        "api": hit.api,
        "client_id": hit.client_id,
        "broker": hit.broker,
        "text": hit.text,
    }
