"""Processes that the tests start: each is ended by its own id, and nothing else is touched."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"


def end(process: subprocess.Popen[bytes], within_s: float = 10.0) -> None:
    """End one process that this test run started.

    Args:
        process: the process; one that has already ended is only reaped.
        within_s: seconds it is given after SIGTERM before it is killed.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def tail(path: Path, size_bytes: int = 4000) -> str:
    """Read the end of a log file for an error message.

    Args:
        path: the file; one that does not exist reads as empty.
        size_bytes: how much of its end is wanted.

    Returns:
        The text, with bytes that are not UTF-8 replaced.
    """
    if not path.exists():
        return ""
    return path.read_bytes()[-size_bytes:].decode(errors="replace")
