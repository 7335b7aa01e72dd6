"""A progress bar on stderr, where stderr is a terminal; nothing anywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STEP = 200


@contextmanager
def progress_bar(text: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far a long work is.

    Args:
        text: what is being done.
        total: how much there is to do; None where that is not known.

    Yields:
        A function to call with how much more was done.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        waiting = 0

        def advance(done: int) -> None:
            nonlocal waiting
            waiting += done
            # The bar is drawn ten times a second: it need not hear of every event.
            if waiting >= _STEP:
                bar.advance(task, waiting)
                waiting = 0

        yield advance
        bar.advance(task, waiting)
