"""Shows a progress bar on stderr if stderr is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STEP = 200


@contextmanager
def progress_bar(text: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show the progress of a long operation.

    Args:
        text: what is being done.
        total: number of items; None if unknown.

    Yields:
        A function to call with the number of items that were done since the last call.
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
            # Collected, because the bar is drawn ten times per second and need not be called for every event.
            if waiting >= _STEP:
                bar.advance(task, waiting)
                waiting = 0

        yield advance
        bar.advance(task, waiting)
