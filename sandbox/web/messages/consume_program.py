"""Programs that read what a Messages page shows: its filters, its format and its place in the log."""

import json
from collections.abc import Iterable

from flask import request

from sandbox.kafka.event import Event
from sandbox.model.json_conditions import LITERALS, NUMBER, ORDERED, Condition, is_quoted
from sandbox.web.decoding import decoded_value
from sandbox.web.messages.query import MessagesView, is_filtered
from sandbox.web.programs import ShownProgram, programs

FORMATS = {"AVRO": "avro", "JSON": "json"}
"""Types of schemas whose values confluent-kafka decodes without generated classes."""


def consume_programs(view: MessagesView, events: Iterable[Event]) -> list[ShownProgram]:
    """Return the programs.

    Args:
        view: the page's query.
        events: the events of the page, whose format the programs decode.
    """
    query = view.query
    tests = []
    if query.partitions:
        tests.append(f"message.partition() in {query.partitions!r}")
    if query.until_ms is not None:
        tests.append(f"message.timestamp()[1] < {query.until_ms}")
    for name, wanted, exact in (("key", query.key, query.key_exact), ("value", query.value, False)):
        if wanted is not None:
            part = f"{wanted.encode('utf-8', 'replace')!r} {'==' if exact else 'in'} (message.{name}() or b'')"
            tests.append(part)
    for header in query.headers:
        name, equals, text = header.partition("=")
        headers = "(message.headers() or [])"
        found = f"({name!r}, {text.encode()!r}) in {headers}"
        tests.append(found if equals else f"any(name == {name!r} for name, _ in {headers})")
    one = query.partitions[0] if len(query.partitions) == 1 else None
    return programs(
        "consume",
        topic=query.topic,
        tests=tests,
        conditions=[_python(condition) for condition in query.conditions],
        since_ms=query.since_ms,
        until_ms=query.until_ms,
        from_offset=query.from_offset,
        partition=one,
        jq=_jq(query.conditions) if query.conditions else "",
        text=query.value or query.key or "",
        filtered=is_filtered(query),
        format=_format(events),
        registry=f"{request.host_url}registry",
    )


def _format(events: Iterable[Event]) -> str:
    """Return the format of the newest event that has a schema, "" if none has one that programs decode."""
    for event in events:
        decoded = decoded_value(event)
        if decoded is not None and decoded.found is not None:
            return FORMATS.get(decoded.found.schema_type, "")
    return ""


def _operand(condition: Condition) -> object:
    text = condition.operand
    if is_quoted(text):
        return json.loads(text)
    if NUMBER.fullmatch(text) or text in LITERALS:
        return json.loads(text)
    return text


def _python(condition: Condition) -> str:
    """Return a condition as a Python expression; `find` is a function of the program."""
    found = f"find(event, {', '.join(map(repr, condition.path.steps))})" if condition.path.steps else "event"
    operator, operand = condition.operator, _operand(condition)
    if operator == "exists":
        return f"{found} is not None"
    if operator == "contains":
        return f"{operand!r} in ({found} or '')"
    if operator == "!=":
        return f"{found} not in (None, {operand!r})"
    if operator in ORDERED:
        kind = "str" if isinstance(operand, str) else "(int, float)"
        return f"isinstance({found}, {kind}) and {found} {operator} {operand!r}"
    return f"{found} == {operand!r}"


def _jq(conditions: Iterable[Condition]) -> str:
    """Return a jq program that selects from kcat's JSON lines."""
    parts = []
    for condition in conditions:
        steps = "".join(f"[{json.dumps(step)}]" for step in condition.path.steps)
        found, operand = f".payload|fromjson|.{steps}", json.dumps(_operand(condition))
        if condition.operator == "exists":
            parts.append(f"({found}) != null")
        elif condition.operator == "contains":
            parts.append(f"(({found})|tostring|contains({operand}))")
        else:
            operator = "==" if condition.operator == "=" else condition.operator
            parts.append(f"({found}) {operator} {operand}")
    return f"select({' and '.join(parts)})"
