"""Members of the group billing, as its coordinator knows them, without a Kafka client."""

from sandbox.api.sandbox import Sandbox
from sandbox.broker.groups.calls import JoinGroup


def join(box: Sandbox, client_id: str = "worker") -> str:
    """One member in the group, as the coordinator knows it; its member id."""
    protocols = (("range", b"\0\0\0\0\0\1\0\6orders\xff\xff\xff\xff"),)
    request = JoinGroup(
        "billing", "", None, client_id, "/10.0.0.7", 6_000, 60_000, "consumer", protocols, None, False, False
    )
    reply = box._runtime.call(lambda now_ms: box._runtime.coordinator.join(request, now_ms))
    box._runtime.call(lambda now_ms: box._runtime.coordinator.tick(now_ms + 1_000))
    (member,) = box.group("billing").members
    assert reply.done
    return member.member_id


def assign(box: Sandbox, member_id: str) -> None:
    """The member, which leads the group, hands out nothing: the group is Stable."""
    sync = box._runtime.coordinator.sync
    box._runtime.call(lambda now_ms: sync("billing", 1, member_id, None, None, None, {}, now_ms))
    assert box.group("billing").state == "Stable"


def pass_ms(box: Sandbox, length_ms: int) -> None:
    """Set the clock of a sandbox, and let it do what time asks for."""
    now_ms = box.overview().as_of_ms + length_ms
    box._runtime.clock = lambda: now_ms
    box._runtime.call(lambda at_ms: box._runtime.coordinator.tick(at_ms))
