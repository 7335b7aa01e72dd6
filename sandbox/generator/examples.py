"""Event templates that ship with the sandbox."""

from sandbox.generator.template import EventTemplate

_ORDER = """\
{
  "order_id": {{seq 1001}},
  "customer": "customer-{{pool}}",
  "item": "{{item}}",
  "quantity": {{int 1 5}},
  "total": {{decimal 4 180 2}},
  "currency": "{{currency}}",
  "city": "{{city}}",
  "state": "{{weighted created:60 paid:25 shipped:12 cancelled:3}}",
  "ordered_at": "{{time}}"
}"""
_CLICK = (
    '{"session": "{{key}}", "path": "{{path}}", "ip": "{{ip}}", "device": "{{weighted phone:62 desktop:33 tablet:5}}", '
    '"ms": {{int 40 900}}, "at": {{now}}}'
)
_READING = (
    '{"sensor": "{{key}}", "temperature": {{normal 21.5 1.8 1}}, "humidity": {{normal 48 6 1}}, '
    '"battery": {{int 20 100}}, "ok": {{bool 99}}, "at": {{now}}}'
)
_PAYMENT = """\
{
  "payment_id": "{{uuid}}",
  "payer": "{{name}}",
  "amount": {{decimal 1 250 2}},
  "currency": "{{currency}}",
  "method": "{{weighted card:70 transfer:20 voucher:10}}",
  "status": "{{weighted ok:97 declined:2 failed:1 as status}}"
}"""
_CHANGE = (
    '{"op": "{{weighted update:80 create:20}}", "row": {"id": {{pool}}, "name": "{{name}}", "email": "{{email}}", '
    '"city": "{{city}}", "version": {{seq}}}, "changed_at": {{now}}}'
)

EXAMPLES = {
    "orders": EventTemplate(
        description="Orders of a web shop, by customer: some buy often, most of them rarely.",
        key="customer-{{pool}}",
        value=_ORDER,
        headers=(("source", "web-shop"), ("trace-id", "{{hex 16}}")),
        keys=200,
        skew=0.8,
    ),
    "clicks": EventTemplate(
        description="Page views by session: many keys, a few of them hot.",
        key="session-{{pool}}",
        value=_CLICK,
        keys=1000,
        skew=1.1,
    ),
    "sensors": EventTemplate(
        description="Readings of twelve sensors, all as often: every key the same load.",
        key="sensor-{{pool}}",
        value=_READING,
        headers=(("unit", "celsius"),),
        keys=12,
    ),
    "payments": EventTemplate(
        description="Payments; one in a hundred fails: something for a dead-letter topic to catch.",
        key="account-{{pool}}",
        value=_PAYMENT,
        headers=(("status", "{{same status}}"),),
        keys=80,
        skew=0.6,
    ),
    "changes": EventTemplate(
        description="Change data of a table, by row, with tombstones where a row was deleted: for a compacted topic.",
        key='{"id": {{pool}}}',
        value=_CHANGE,
        null_percent=6,
        keys=60,
        skew=0.5,
    ),
}
"""Name to template, in the order in which they are shown."""
