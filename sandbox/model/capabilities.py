"""The features of a backend: one named field each, and why a Kafka cluster lacks some of them.

Pages ask for the feature that they use, by its name. No feature implies another.
"""

from dataclasses import dataclass, field, fields

_WAY_OUT = "Work on a sandbox file (sandbox up) to use it; sandbox export and sandbox import bring topics into one."


def _feature(missing: str) -> bool:
    """Return a field that is True unless set otherwise.

    Args:
        missing: why the feature is missing, with the way out. Readers see it.
    """
    found: bool = field(default=True, metadata={"missing": missing})
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The features of a backend. A sandbox file has all of them.

    Attributes:
        sql: queries over the file.
        snapshots: copies of the file, also those taken before data is deleted.
        activity: the log of actions.
        groups: consumer groups; False if the cluster refuses to list them.
        faults: injected faults.
        simulated_brokers: the brokers are simulated by this process, and configured at its start.
        stop_brokers: stop and start a broker.
        move_leaders: choose the leader of a partition.
        client_connections: list the connected clients.
        delete_records: delete events below an offset.
        compact_now: compact a topic on request.
        apply_retention_now: apply retention on request, and preview it.
        append_rates: events appended in the last minute; False until enough was seen.
        sample_keys: the keys of the newest events, and where they would move.
        find_key_fast: an index finds the newest events with a key.
        log_sizes: sizes of logs in bytes.
        event_counts: numbers of events; otherwise offsets are counted.
        time_order: events of several partitions in exact time order.
        transaction_states: whether an event belongs to an aborted or open transaction.
        heartbeats: the time of a member's last heartbeat.
        group_generations: a group's generation.
        lag_history: lag at any time since the first commit.
        rebalance_history: a group's rebalances, with their reasons.
        alerts: thresholds of groups, kept in the file.
        share_groups: the windows of share groups, and records released or archived by hand.
        append_times: when an event was appended, in addition to its own timestamp.
        commit_history: earlier committed offsets, so that a reset can be undone.
        delete_offsets: delete a group's offsets in one topic.
        save_templates: store event templates.
        save_filters: store named filters of Messages.
        schema_registry: a schema registry in the file.
        groups_refusal: the cluster's error if `groups` is False.
    """

    sql: bool = _feature(f"SQL runs over the rows of a sandbox file, and a Kafka cluster has none. {_WAY_OUT}")
    snapshots: bool = _feature(f"A snapshot is a copy of a sandbox file, and a Kafka cluster has none. {_WAY_OUT}")
    activity: bool = _feature(f"A Kafka cluster keeps no log of actions, which this page shows. {_WAY_OUT}")
    share_groups: bool = _feature(
        f"Kafka's clients in Python have no requests for the windows of share groups. {_WAY_OUT}"
    )
    alerts: bool = _feature(f"Alerts are kept in a sandbox file, and a Kafka cluster has none. {_WAY_OUT}")
    groups: bool = _feature("The groups of this cluster cannot be shown.")
    faults: bool = _feature("Faults are injected into a sandbox (sandbox up), never into a real cluster.")
    simulated_brokers: bool = _feature("The brokers of a real cluster are configured with its own tools.")
    stop_brokers: bool = _feature(
        "The brokers of a real cluster are not stopped from here. To see leaders move, start a sandbox with "
        "sandbox up --brokers 3, and stop one there."
    )
    move_leaders: bool = _feature(
        "Leaders of a real cluster are moved with its own tools, such as kafka-reassign-partitions. Preferred leaders "
        "can be elected here."
    )
    client_connections: bool = _feature(
        "A cluster does not report who is connected to it: only a sandbox does. A group's page lists its members."
    )
    delete_records: bool = _feature("This cluster cannot delete records on request.")
    compact_now: bool = _feature(
        "A cluster decides itself when to compact; no request starts it. To see what compaction does, create the topic "
        "in a sandbox, and compact it there."
    )
    apply_retention_now: bool = _feature(
        "A cluster applies retention itself, some minutes after events expire, and deletes whole segments; no request "
        "starts it."
    )
    append_rates: bool = _feature("A topic's rate is known once this page has watched the cluster for a few seconds.")
    sample_keys: bool = _feature("The keys of this cluster's events cannot be sampled.")
    find_key_fast: bool = _feature("A cluster has no index of keys: its events would have to be read.")
    log_sizes: bool = _feature("The client library does not ask brokers for log sizes, so sizes are unknown here.")
    event_counts: bool = _feature(
        "A cluster doesn't report how many events a log has. Offsets are the end minus the start: compaction and "
        "transaction markers leave gaps, so there can be fewer events."
    )
    time_order: bool = _feature(
        "A cluster has no order by time over all partitions: events of one partition stay in the order of their "
        "offsets, even if their timestamps do not. All are shown, also events of open and aborted transactions: a "
        "cluster does not report which those are."
    )
    transaction_states: bool = _feature(
        "A cluster does not report which events belong to aborted or open transactions: if some of these do, they are "
        "sent too, and become plain events, which every consumer gets."
    )
    heartbeats: bool = _feature("A cluster does not report the time of a member's last heartbeat.")
    group_generations: bool = _feature("A cluster does not report a group's generation.")
    lag_history: bool = _feature(
        "A cluster keeps no history of lag: the chart shows what this page has seen since its start, while somebody "
        "watched."
    )
    rebalance_history: bool = _feature(
        "A cluster does not report when a group rebalanced, or why: only a sandbox keeps a log of that."
    )
    append_times: bool = _feature(
        "The age of the oldest unread event comes from its own timestamp: a cluster does not report when it was "
        "appended."
    )
    commit_history: bool = _feature(
        "A cluster keeps no history of committed offsets: note the offsets in the preview before a reset."
    )
    delete_offsets: bool = _feature(
        "The client library cannot delete the offsets of one topic: use kafka-consumer-groups --delete-offsets."
    )
    save_filters: bool = _feature(
        "There is no sandbox file to save a filter in. The filter is the page's address: keep that."
    )
    save_templates: bool = _feature(
        "There is no sandbox file to save a template in. Copy it, and save it in a file of your own."
    )
    schema_registry: bool = _feature(
        "A real cluster's schema registry is another program, with its pages and tools. To copy its schemas "
        "into a sandbox: sandbox schemas export --url URL, then sandbox schemas import."
    )
    groups_refusal: str = ""

    def why_not(self, feature: str) -> str | None:
        """Return why a feature is missing, with the way out; None if it is there.

        Args:
            feature: a field's name; AttributeError if there is no such field.
        """
        if getattr(self, feature):
            return None
        return f"{missing(feature)} {self.groups_refusal}" if feature == "groups" else missing(feature)


_MISSING: dict[str, str] = {one.name: one.metadata["missing"] for one in fields(Capabilities) if one.metadata}


def missing(feature: str) -> str:
    """Return why a cluster lacks a feature, with the way out.

    Args:
        feature: a field of `Capabilities`; KeyError if there is no such field.
    """
    return _MISSING[feature]
