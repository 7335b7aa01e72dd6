"""The limit of open files of this process: macOS starts programs with 256, and each client takes one."""

import sys

WANTED = (65_536, 10_240)
"""What is tried, if the hard limit allows it. macOS allows no more than 10,240, whatever its hard limit says."""
RESERVED_SHARE = 4
RESERVED_MIN = 64
"""What is kept for the database, the page and its tabs: a quarter of the limit, and this at least."""

if sys.platform == "win32":

    def raise_limit() -> None:
        """Windows has no such limit for sockets."""

    def connections_max() -> int | None:
        """How many connections the Kafka ports may have; None for no limit."""
        return None

else:
    import resource

    def raise_limit() -> None:
        """Raise the soft limit to the hard one, as far as that is useful."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return
        for wanted in WANTED:
            target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            if target <= soft:
                return
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
            except (OSError, ValueError):
                continue
            return

    def connections_max() -> int | None:
        """How many connections the Kafka ports may have; None for no limit."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return None
        return max(1, soft - max(RESERVED_MIN, soft // RESERVED_SHARE))
