"""What the pages can't do with a cluster: one sentence each, with the reason and the alternative."""

from sandbox.remote.cluster import NO_CLIENTS, NO_FAULTS, NO_MOVE, NO_STOP
from sandbox.remote.log_operations import NO_COMPACTION, NO_RETENTION

WAY_OUT = "Work on a sandbox file (sandbox up) to use it; sandbox export and sandbox import bring topics into one."
SETTLED = {
    "sql": f"SQL runs over the rows of a sandbox file, and a Kafka cluster has none. {WAY_OUT}",
    "snapshots": f"A snapshot is a copy of a sandbox file, and a Kafka cluster has none. {WAY_OUT}",
    "activity": f"A Kafka cluster keeps no record of who did what, which is what this page shows. {WAY_OUT}",
    "faults": NO_FAULTS,
    "cluster.faults_json": NO_FAULTS,
    "cluster.inject": NO_FAULTS,
    "cluster.remove": NO_FAULTS,
    "cluster.clear": NO_FAULTS,
    "cluster.ask": NO_STOP,
    "cluster.ask_json": NO_STOP,
    "cluster.change": NO_STOP,
    "cluster.move_leader": NO_MOVE,
    "cluster.clients": NO_CLIENTS,
    "logs.compact": NO_COMPACTION,
    "logs.retention": NO_RETENTION,
    "logs.size": "The client library does not ask brokers for the size of logs, so sizes are unknown here.",
    "logs.count": (
        "A cluster doesn't report how many events a log has. Offsets are the end minus the start: compaction and "
        "transaction markers leave gaps, so there can be fewer events."
    ),
    "logs.time": (
        "A cluster has no order by time over all partitions: events of one partition stay in the order of their "
        "offsets, also where their timestamps do not. All are shown, those of open and aborted transactions too: a "
        "cluster does not tell which those are."
    ),
    "copies.transactions": (
        "A cluster does not tell which events belong to aborted or open transactions: if some of these do, they are "
        "sent too, and become plain events, which every consumer gets."
    ),
    "groups.heartbeats": "A cluster does not tell when it last heard from a member.",
    "groups.generation": "A cluster does not tell the generation of a group.",
    "groups.past": (
        "A cluster keeps no history of lag: what is drawn was seen by this page since it was started, while somebody "
        "looked."
    ),
    "groups.rebalances": "A cluster does not tell when a group rebalanced, or why: only a sandbox keeps a log of that.",
    "groups.append_time": (
        "The oldest unread event is as old as its own timestamp says: a cluster does not tell when it was appended."
    ),
    "groups.undo": "A cluster keeps no history of committed offsets: note those of the preview before a reset.",
    "groups.delete_offsets": (
        "The client library does not delete the offsets of one topic: use kafka-consumer-groups --delete-offsets."
    ),
    "generators.save": "There is no sandbox file to keep a template in. Copy it, and save it in a file of your own.",
}
RATES_SOON = "How fast a topic grows is known once this page has watched the cluster for a few seconds."
READ_ONLY = "This page shows a real cluster, and changes nothing in it. Start it with --allow-writes to change that."
