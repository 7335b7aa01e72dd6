"""`sandbox.toml`: what `sandbox up` does in a project's folder, without options.

Its keys are the long options of `sandbox up`, besides `file`, `settings`, `topics` and `seed`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.status import Failed, Status

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox

PROJECT_FILE = Path("sandbox.toml")
_OWN = ("file", "settings", "topics", "seed")


@dataclass(frozen=True, slots=True)
class Project:
    """What a project file asks for.

    Attributes:
        options: the options' parameters and values, for click's `default_map`.
        settings: broker settings as NAME=VALUE; -c adds settings, and overrides these.
        topics: topic name to partitions, or to the arguments of `create_topic`.
        seed: JSON lines files of events.
    """

    options: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    topics: dict[str, Any] = field(default_factory=dict)
    seed: tuple[Path, ...] = ()

    def fill(self, box: "Sandbox") -> None:
        """Create the topics that don't exist, and load the seed if no topic existed before."""
        if box.read_only or not (self.topics or self.seed):
            return
        from sandbox.kafka.errors import SandboxError
        from sandbox.testing.place import SandboxPlace
        from sandbox.testing.seed import create_topics, read, store

        place = SandboxPlace(box, Path(box.overview().file))
        existing = {topic.topic for topic in box.topics()}
        try:
            # All is read before anything is created: the seed is only loaded if there is no topic.
            seeds = [read(path) for path in self.seed] if not existing else []
            create_topics(place, {name: wanted for name, wanted in self.topics.items() if name not in existing})
            for lines in seeds:
                store(place, lines)
        except (ValueError, OSError, SandboxError) as error:
            raise Failed(f"{PROJECT_FILE}: {error}", Status.USAGE) from error


class ProjectCommand(click.Command):
    """A command that takes the values of its options from the project file in the current folder, if there is one."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> click.Context:
        project = read_project(self)
        extra["default_map"] = project.options
        extra["obj"] = project
        return super().make_context(info_name, args, parent, **extra)


def project_sandbox_file() -> str | None:
    """Return the sandbox file that the project file names, or None."""
    found = _content().get("file")
    return found if isinstance(found, str) else None


def read_project(command: click.Command) -> Project:
    """Read the project file. Raises click.UsageError, which names the key, if something in it is invalid."""
    content = _content()
    if not content:
        return Project()
    options = {}
    known = {name.lstrip("-"): one for one in command.params if isinstance(one, click.Option) for name in one.opts}
    spelled = {name: one for name, one in known.items() if len(name) > 1}
    for key, value in content.items():
        if key in _OWN:
            continue
        option = spelled.get(key)
        if option is None:
            from difflib import get_close_matches

            close = get_close_matches(key, [*spelled, *_OWN], 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"{PROJECT_FILE}: there is no option {key}.{hint}")
        options[option.name or key] = _checked(key, option, value)
    file = _of_type(content, "file", str, "a path in quotes")
    if file is not None:
        options["file"] = file
    settings = _of_type(content, "settings", dict, "a table of broker settings") or {}
    pairs = tuple(f"{name}={_text(value)}" for name, value in settings.items())
    topics = _of_type(content, "topics", dict, "a table: orders = 3, or [topics.orders] with partitions = 3") or {}
    seed = content.get("seed", [])
    paths = [seed] if isinstance(seed, str) else seed
    if not isinstance(paths, list) or not all(isinstance(one, str) for one in paths):
        raise click.UsageError(f"{PROJECT_FILE}: seed is a path in quotes, or a list of paths.")
    return Project(
        options, pairs, {name: _topic(name, wanted) for name, wanted in topics.items()}, tuple(map(Path, paths))
    )


def _content() -> dict[str, Any]:
    if not PROJECT_FILE.exists():
        return {}
    import tomllib

    try:
        with PROJECT_FILE.open("rb") as opened:
            return tomllib.load(opened)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Failed(f"{PROJECT_FILE} cannot be read: {error}", Status.USAGE) from None


def _checked(key: str, option: click.Option, value: Any) -> Any:
    if option.multiple and not isinstance(value, list):
        raise click.UsageError(f'{PROJECT_FILE}: {key} is a list: {key} = ["…"]')
    if option.is_flag and not isinstance(value, bool):
        raise click.UsageError(f"{PROJECT_FILE}: {key} is true or false.")
    try:
        option.type_cast_value(click.Context(click.Command("up")), value)
    except click.BadParameter as error:
        raise click.UsageError(f"{PROJECT_FILE}: {key}: {error.message}") from None
    return value


def _of_type(content: dict[str, Any], key: str, wanted: type, words: str) -> Any:
    value = content.get(key)
    if value is not None and not isinstance(value, wanted):
        raise click.UsageError(f"{PROJECT_FILE}: {key} is {words}.")
    return value


def _topic(name: str, wanted: Any) -> Any:
    if not isinstance(wanted, dict):
        if not _is_number(wanted):
            raise click.UsageError(f"{PROJECT_FILE}: topics.{name} is a number of partitions, or a table.")
        return wanted
    for key in ("partitions", "replication_factor"):
        if key in wanted and not _is_number(wanted[key]):
            raise click.UsageError(f"{PROJECT_FILE}: topics.{name}.{key} is a number.")
    settings = wanted.get("settings", {})
    if not isinstance(settings, dict):
        raise click.UsageError(f"{PROJECT_FILE}: topics.{name}.settings is a table of topic settings.")
    return {**wanted, "settings": {setting: _text(value) for setting, value in settings.items()}}


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(value: Any) -> str:
    """Return a setting's value as Kafka writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
