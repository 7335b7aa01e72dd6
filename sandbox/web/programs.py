"""Programs that do what a page does, with the page's own topic, address and filters, ready to run.

Each is a template in `templates/programs`, NAME.LANGUAGE.jinja. The same program runs against any cluster: only the
address changes. Templates use `<< >>` and `<% %>`, because programs are full of braces.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import has_app_context
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sandbox.model.overview import ClientSecurity
from sandbox.playground.spec import SENT_BACK_HEADER
from sandbox.web.assets import asset_folder
from sandbox.web.messages.dead_letters import BINARY_HEADERS, ORIGIN_HEADERS, REFUSAL_PREFIXES
from sandbox.web.proxied import the_proxy
from sandbox.web.responses import backend, overview

LANGUAGES = {
    "py": "Python",
    "kcat": "kcat",
    "curl": "curl",
    "sh": "Command line",
    "java": "Java",
    "go": "Go",
    "mjs": "Node",
}
"""The ending of a template to the name of its tab, in the order of the tabs."""
DEFAULT_ADDRESS = "127.0.0.1:9092"
USER, PASSWORD, AUTHORITY = "USER", "PASSWORD", "ca.pem"
"""What programs have instead of the user's own, if the cluster requires them."""
PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PLACES_IN_LINE = 8
TEXT_LANGUAGES = ("kcat", "java", "go", "mjs")
"""Languages whose programs show a key or value as text: they are left out for bytes that are not UTF-8."""


@dataclass(frozen=True, slots=True)
class ShownProgram:
    """One tab: a program in one language."""

    language: str
    label: str
    text: str


def _json_text(value: str | None) -> str:
    """Return text as a literal of Java and JavaScript."""
    return json.dumps(value)


def _go_text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_folder()),
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,
    )
    environment.filters |= {
        "py": repr,
        "sh": shlex.quote,
        "java": _json_text,
        "js": _json_text,
        "go": _go_text,
        "settings": _python_settings,
        "kcat": _kcat_options,
        "java_settings": _java_settings,
        "kafkajs": _kafkajs_options,
        "go_sasl": _go_sasl,
    }
    return environment


def _folder() -> Path:
    return asset_folder("templates") / "programs"


@cache
def languages_of(name: str) -> tuple[str, ...]:
    """Return the languages in which a program exists, in the order of `LANGUAGES`."""
    return tuple(one for one in LANGUAGES if (_folder() / f"{name}.{one}.jinja").exists())


def client_settings(security: ClientSecurity | None) -> dict[str, str]:
    """Return librdkafka's settings for a connection, with placeholders for user, password and authority."""
    if security is None:
        return {}
    settings = {"security.protocol": security.protocol}
    if security.mechanism:
        settings["sasl.mechanism"] = security.mechanism
    if security.mechanism in PASSWORD_MECHANISMS:
        settings |= {"sasl.username": USER, "sasl.password": PASSWORD}
    if security.protocol.endswith("SSL"):
        settings["ssl.ca.location"] = AUTHORITY
    return settings


def _python_settings(security: ClientSecurity | None, separator: str = ", ") -> str:
    return "".join(f'{separator}"{name}": {value!r}' for name, value in client_settings(security).items())


def _kcat_options(security: ClientSecurity | None) -> str:
    return "".join(f" -X {shlex.quote(f'{name}={value}')}" for name, value in client_settings(security).items())


def _java_settings(security: ClientSecurity | None) -> list[tuple[str, str]]:
    settings = client_settings(security)
    if settings.pop("sasl.username", None):
        kind = "plain.Plain" if settings["sasl.mechanism"] == "PLAIN" else "scram.Scram"
        login = f'required username="{USER}" password="{settings.pop("sasl.password")}";'
        settings["sasl.jaas.config"] = f"org.apache.kafka.common.security.{kind}LoginModule {login}"
    if authority := settings.pop("ssl.ca.location", None):
        settings |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": authority}
    return list(settings.items())


def _kafkajs_options(security: ClientSecurity | None) -> str:
    settings = client_settings(security)
    text = ""
    if authority := settings.get("ssl.ca.location"):
        text += f', ssl: {{ ca: [readFileSync("{authority}")] }}'
    if mechanism := settings.get("sasl.mechanism"):
        login = f', username: "{USER}", password: "{PASSWORD}"' if "sasl.username" in settings else ""
        text += f", sasl: {{ mechanism: {json.dumps(mechanism.lower())}{login} }}"
    return text


def _go_sasl(security: ClientSecurity | None) -> tuple[str, str] | None:
    """Return franz-go's package of a mechanism with passwords, and the expression of the mechanism."""
    mechanism = security.mechanism if security is not None else ""
    if mechanism not in PASSWORD_MECHANISMS:
        return None
    if mechanism == "PLAIN":
        return "plain", f'plain.Auth{{User: "{USER}", Pass: "{PASSWORD}"}}.AsMechanism()'
    size = mechanism.rpartition("-")[2]
    return "scram", f'scram.Auth{{User: "{USER}", Pass: "{PASSWORD}"}}.AsSha{size}Mechanism()'


def _security() -> ClientSecurity | None:
    """Return what clients must set to connect to the page's cluster."""
    return overview().security if has_app_context() else None


def render(name: str, language: str, /, **values: object) -> str:
    """Return a program.

    Args:
        name, language: the template is NAME.LANGUAGE.jinja.
        **values: what the template uses; jinja2.UndefinedError if one is missing.
    """
    template = _environment().get_template(f"{name}.{language}.jinja")
    return template.render({"security": _security(), **values})


def shown(name: str, /, **values: object) -> list[ShownProgram]:
    """Return a program in each of its languages."""
    left_out = () if values.pop("is_text", True) else TEXT_LANGUAGES
    return [
        ShownProgram(one, LANGUAGES[one], render(name, one, **values))
        for one in languages_of(name)
        if one not in left_out
    ]


def programs(name: str, /, **values: object) -> list[ShownProgram]:
    """Return the programs of a page's action, in each language, with the page's address for those it doesn't give."""
    return shown(name, **_filled(name, values))


def snippet(name: str, /, **values: object) -> str:
    """Return the first program of `programs`: Python, or a command where Python has none."""
    return render(name, languages_of(name)[0], **_filled(name, values))


def client_settings_here() -> dict[str, str]:
    """Return `client_settings` of the page's cluster."""
    return client_settings(_security())


def _filled(name: str, values: Mapping[str, object]) -> dict[str, Any]:
    filled: dict[str, Any] = {
        "address": overview().kafka or DEFAULT_ADDRESS,
        "topic": "orders",
        "group": "my-group",
        "partitions": 3,
        "file": overview().file,
        "web": str(the_proxy().url or overview().web or "http://127.0.0.1:8080"),
        **values,
    }
    if name == "produce":
        filled = produce_values("user-42", '{"hello": "world"}') | filled
    if name == "consume":
        filled = CONSUME_ALL | filled
    if name == "copy":
        filled |= _copy_values(values)
    return filled


CONSUME_ALL: dict[str, object] = {
    "tests": [],
    "conditions": [],
    "since_ms": None,
    "until_ms": None,
    "from_offset": None,
    "partition": None,
    "jq": "",
    "text": "",
    "filtered": False,
    "format": "",
    "registry": "",
}
"""The values of a program that consumes a topic without filters."""


def produce_values(key: str, value: str) -> dict[str, Any]:
    """Return the values of a program that sends one event of text, by Java's partitioner."""
    return {
        "arguments": [("key", repr(key)), ("value", repr(value))],
        "key": key,
        "value": value,
        "headers": (),
        "js_headers": "",
        "partition": None,
        "timestamp_ms": None,
        "partitioner": "murmur2_random",
        "explain": True,
        "notes": (),
    }


def _copy_values(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values of the program that copies events, derived from its preview."""
    places, how, target = values.get("places", ()), str(values.get("how")), str(values.get("target"))
    assert isinstance(places, list | tuple)
    placed_by = values.get("placed_by") or ()
    assert isinstance(placed_by, list | tuple)
    shown = [f"({partition}, {offset})" for partition, offset in places]
    lines = [shown[first : first + PLACES_IN_LINE] for first in range(0, len(shown), PLACES_IN_LINE)]
    return {
        "places": [", ".join(line) + "," for line in lines],
        "count": next((len(one.partitions) for one in backend().topics() if one.topic == target), 1),
        "partitioner": "consistent_random" if how == "consistent_random" else "murmur2_random",
        "origins": [(header, header in BINARY_HEADERS) for header in placed_by] if how == "origin" else [],
        "refusal_prefixes": REFUSAL_PREFIXES,
        "sent_back_header": SENT_BACK_HEADER,
        "origin_headers": ORIGIN_HEADERS,
    }
