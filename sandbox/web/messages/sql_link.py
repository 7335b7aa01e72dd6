"""Writes the SQL query that finds the same events as a Messages page."""

import json
from urllib.parse import urlencode

from sandbox.model.json_conditions import LITERALS, NUMBER, ORDERED, Condition, HeaderName, JsonPath, is_quoted
from sandbox.model.sql_tokens import quoted_name
from sandbox.web.messages.query import Field, MessagesView

COLUMNS = '"partition", "offset", "timestamp", key, value'


def sql_address(view: MessagesView) -> str:
    """Return the address of the SQL page with the view's filters, columns and order as a query."""
    return "/sql?" + urlencode({"q": sql_of(view)})


def sql_of(view: MessagesView) -> str:
    """Return the query. It compares JSON numbers as SQL does, in 64-bit integers and doubles."""
    query = view.query
    shown = "".join(f",\n  {_field(column)} AS {quoted_name(column.label)}" for column in view.columns)
    conditions = list(_plain_conditions(view)) + [_condition(one) for one in query.conditions]
    where = "\nWHERE " + "\n  AND ".join(conditions) if conditions else ""
    if view.sort is not None:
        direction = "DESC" if view.sort.descending else "ASC"
        order = f"{_field(view.sort.field)} {direction} NULLS LAST"
    elif query.order == "offset":
        order = '"partition", "offset"'
    else:
        order = "timestamp_ms" + (" DESC" if query.order == "newest" else "")
    name = quoted_name(f"topic:{query.topic}")
    return f"SELECT {COLUMNS}{shown}\nFROM {name}{where}\nORDER BY {order}\nLIMIT {query.limit}"


def _plain_conditions(view: MessagesView) -> list[str]:
    query = view.query
    found = []
    if query.partitions:
        found.append(f'"partition" IN ({", ".join(map(str, query.partitions))})')
    if query.from_offset is not None:
        found.append(f'"offset" >= {query.from_offset}')
    if query.since_ms is not None:
        found.append(f"timestamp_ms >= {query.since_ms}")
    if query.until_ms is not None:
        found.append(f"timestamp_ms < {query.until_ms}")
    if query.key is not None:
        found.append(f"key = {_text(query.key)}" if query.key_exact else f"instr(key, {_text(query.key)}) > 0")
    if query.value is not None:
        found.append(f"instr(value, {_text(query.value)}) > 0")
    for wanted in query.headers:
        name, equals, value = wanted.partition("=")
        same = f" AND one.value ->> 1 = {_text(value)}" if equals else ""
        found.append(f"EXISTS (SELECT 1 FROM json_each(headers) one WHERE one.value ->> 0 = {_text(name)}{same})")
    return found


def _field(field: Field) -> str:
    if isinstance(field, HeaderName):
        return f"(SELECT one.value ->> 1 FROM json_each(headers) one WHERE one.value ->> 0 = {_text(field.name)})"
    return _value(field)


def _value(path: JsonPath) -> str:
    return f"json_value(value, {_text(str(path))})"


def _condition(condition: Condition) -> str:
    value, operand = _value(condition.path), condition.operand
    if condition.operator == "exists":
        return f"CASE WHEN json_valid(value) THEN json_type(value, {_text(str(condition.path))}) END IS NOT NULL"
    if condition.operator == "contains":
        return f"instr({value}, {_text(_unquoted(operand))}) > 0"
    if operand == "null":
        exists = f"CASE WHEN json_valid(value) THEN json_type(value, {_text(str(condition.path))}) END"
        return f"{exists} {'=' if condition.operator == '=' else '<>'} 'null'"
    if NUMBER.fullmatch(operand):
        # In SQL every text is larger than every number.
        number = f"typeof({value}) <> 'text' AND " if condition.operator in ORDERED[2:] else ""
        return f"{number}{value} {condition.operator} {operand}"
    if operand in LITERALS:
        return f"{value} {condition.operator} {1 if operand == 'true' else 0}"
    return f"{value} {condition.operator} {_text(_unquoted(operand))}"


def _unquoted(operand: str) -> str:
    return str(json.loads(operand)) if is_quoted(operand) else operand


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
