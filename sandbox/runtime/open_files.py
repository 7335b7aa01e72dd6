"""Raises this process's limit of open files: macOS starts programs with 256, and each connection needs one."""

import sys

WANTED = (65_536, 10_240)
"""Limits to try, up to the hard limit. macOS allows at most 10,240, even if its hard limit is higher."""
RESERVED_SHARE = 4
RESERVED_MIN = 64
"""Files reserved for the database, the page and its tabs: a quarter of the limit, and at least this many."""

if sys.platform == "win32":

    def raise_limit() -> None:
        """Do nothing: Windows has no such limit for sockets."""

    def connections_max() -> int | None:
        """Return the maximum number of Kafka connections; None for no limit."""
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
        """Return the maximum number of Kafka connections; None for no limit."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return None
        return max(1, soft - max(RESERVED_MIN, soft // RESERVED_SHARE))
