"""The garbage collector of the process, at rest for a while.

What makes many objects that all stay, such as an import or a long read, lets the collector go through all that there
are again and again, and find nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting_collector() -> Iterator[None]:
    """Collect nothing until the block ends. Where nothing is collected anyhow, that stays so.

    Of threads that do this at the same time, the first that is done ends it for all: the others are slower then, but no
    thread can keep the collector at rest for longer than its own block.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
