"""Write docs/protocol.md from the tables of APIs, errors and settings: python docs/make_protocol.py"""

import inspect
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("protocol.md")
if __name__ == "__main__":
    sys.path.insert(0, str(PAGE.parents[1]))

from sandbox.kafka.broker_config import BROKER_SETTINGS  # noqa: E402
from sandbox.kafka.errors import TABLE  # noqa: E402
from sandbox.kafka.setting import TYPE_NAMES, Setting  # noqa: E402
from sandbox.kafka.topic_settings import TOPIC_SETTINGS  # noqa: E402
from sandbox.wire.api_table import ANNOUNCED_FROM, APIS, Api  # noqa: E402

HEAD = """# The Kafka port

Made by `python docs/make_protocol.py` from the tables in the code; a test fails when it is stale.
What a version means is in [Kafka's protocol guide](https://kafka.apache.org/protocol). Anything else is answered by
closing the connection, with the reason in the log; an unknown version of ApiVersions by UNSUPPORTED_VERSION, as Kafka.
"""


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            HEAD,
            "## APIs",
            "",
            "| key | API | versions |",
            "|---|---|---|",
            *(f"| {api.key} | [{api.name}](#{api.name.lower()}) | {_versions(api)} |" for api in APIS),
            "",
            *(line for api in APIS for line in _section(api)),
            "## Errors",
            "",
            "| number | name | retriable | meaning |",
            "|---|---|---|---|",
            *(f"| {one.code} | {one.name} | {'yes' if one.retriable else 'no'} | {one.text} |" for one in TABLE),
            "",
            "## Topic settings",
            "",
            *_settings(TOPIC_SETTINGS),
            "",
            "## Broker settings",
            "",
            *_settings(BROKER_SETTINGS),
            "",
        ]
    )


def _versions(api: Api) -> str:
    announced = ANNOUNCED_FROM.get(api.key, api.first)
    served = f"{api.first} to {api.last}" if api.first != api.last else str(api.first)
    return served if announced == api.first else f"{served} (announced from {announced})"


def notes(api: Api) -> str:
    """What the function of an API says of it, without its first line."""
    text = inspect.getdoc(api.load()) or ""
    return text.partition("\n")[2].strip()


def _section(api: Api) -> list[str]:
    return [f"### {api.name}", "", f"Key {api.key}, versions {_versions(api)}.", "", notes(api), ""]


def _settings(settings: tuple[Setting, ...]) -> list[str]:
    return [
        "| name | type | default | what it does |",
        "|---|---|---|---|",
        *(
            f"| {one.name} | {TYPE_NAMES[one.type]} | {one.default or ''} | {one.text}"
            f"{'' if one.in_effect else ' *Shown, without effect here.*'} |"
            for one in settings
        ),
    ]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
