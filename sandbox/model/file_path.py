"""Resolves a user's name for a sandbox file to a path."""

import os
import re
from contextlib import suppress
from pathlib import Path

from sandbox.kafka.errors import FileRefused

_PREFIX = "sqlite:"


def file_path(name: str | os.PathLike[str]) -> Path:
    """Return the path for a name.

    `~` and `~/...` are the home directory, as in a shell, and text may begin with `sqlite:`. Every other name is used
    as it is, so that `~dev.db`, `:memory:` and `file:dev.db` are files of these names.

    Raises:
        FileRefused: it is the root folder, or text that begins with `sqlite:` without a file name.
    """
    text = os.fspath(name)
    if isinstance(name, str) and text.lower().startswith(_PREFIX):
        text = _after_prefix(text)
    if text == "~" or text.startswith(("~/", f"~{os.sep}")):
        # RuntimeError: this user has no home directory.
        with suppress(RuntimeError):
            return Path(text).expanduser()
    path = Path(text)
    if path.name in ("", ".."):
        path = Path(os.path.abspath(path))
        if not path.name:
            raise FileRefused(f"{path} is a folder. Name a file in it, such as {path / 'dev.db'}.")
    return path


def shown_path(path: str | os.PathLike[str]) -> str:
    r"""Return a path as text that can be encoded: bytes of a name that are not UTF-8 are written \xff."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_text(name: str | os.PathLike[str]) -> bool:
    """Return whether a name can be encoded as UTF-8. Python represents other bytes of a file name as surrogates."""
    try:
        os.fspath(name).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _after_prefix(text: str) -> str:
    rest = text[len(_PREFIX) :]
    if rest.startswith("//") and not rest.startswith("///"):
        raise FileRefused(
            f"{text}: write sqlite:dev.db for a relative path, or sqlite:///dir/dev.db for an absolute one."
        )
    path = re.sub("^/+", "/", rest)
    if path in ("", "/", ":memory:"):
        raise FileRefused(f"{text} names no file: write sqlite:dev.db.")
    return path
