"""The placeholders of event templates. The parser, the page and the command line read this one table.

Every draw uses `Random.random()`, the one method whose sequence for a seed Python guarantees across versions. So the
same seed generates the same events on every Python.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

FIRST_NAMES = (
    "Amara", "Bjørn", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiro", "Inés", "Jonas", "Kwame", "Léa", "Mei",
    "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Søren", "Tomás", "Uma", "Viktor", "Wanjiru", "Yusuf", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Abebe", "Becker", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ivanov", "Jansen", "Kim", "Larsen",
    "Moreau", "Nguyen", "Okafor", "Patel", "Quispe", "Rossi", "Suzuki", "Tanaka", "Urban", "Virtanen", "Wang", "Yılmaz",
)  # fmt: skip
CITIES = (
    ("Accra", "GH"), ("Amsterdam", "NL"), ("Berlin", "DE"), ("Bogotá", "CO"), ("Cape Town", "ZA"), ("Chennai", "IN"),
    ("Dublin", "IE"), ("Hanoi", "VN"), ("Istanbul", "TR"), ("Kraków", "PL"), ("Kyoto", "JP"), ("Lagos", "NG"),
    ("Lima", "PE"), ("Lisbon", "PT"), ("London", "GB"), ("Melbourne", "AU"), ("Montréal", "CA"), ("Nairobi", "KE"),
    ("New York", "US"), ("Oslo", "NO"), ("Paris", "FR"), ("Rome", "IT"), ("São Paulo", "BR"), ("Seoul", "KR"),
    ("Singapore", "SG"), ("Vienna", "AT"), ("Zürich", "CH"),
)  # fmt: skip
ITEMS = (
    "ham sandwich", "cheese toastie", "flat white", "croissant", "bowl of ramen", "slice of carrot cake",
    "jalapeño burrito", "train pass", "paperback", "bunch of tulips", "pair of running shoes", "bicycle repair",
    "concert ticket", "desk lamp", "rain jacket", "coffee grinder", "notebook", "house plant",
)  # fmt: skip
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "INR", "BRL", "PLN", "CHF")
PATHS = (
    "/", "/search", "/cart", "/checkout", "/login", "/help", "/products/lamp", "/products/jacket", "/products/shoes",
    "/products/notebook", "/account/orders", "/news",
)  # fmt: skip
PLAIN_WORDS = (
    "amber", "birch", "cloud", "delta", "ember", "fjord", "grain", "harbour", "island", "jasmine", "kernel", "lantern",
    "meadow", "north", "orbit", "pebble", "quartz", "river", "signal", "timber", "umbra", "velvet", "willow", "zephyr",
)  # fmt: skip


T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DIGITS_MAX = 12
LENGTH_MAX = 100_000
PLAIN = str.maketrans("øéëáíıó", "oeeaiio")


@dataclass(slots=True)
class Draw:
    """Input of the placeholders for one event.

    Attributes:
        random: returns a number from 0 (included) to 1 (excluded).
        seq: the event's number, from 0.
        pool: the number of the event's key in the pool of keys, from 1.
        now_ms: the event's creation time.
        key: the event's key; None if it has no key, or the key isn't built yet.
        named: values that were named with `as`, such as `{{int 1 6 as dice}}`.
    """

    random: Callable[[], float]
    seq: int
    pool: int
    now_ms: int
    key: str | None = None
    named: dict[str, str] = field(default_factory=dict)


Maker = Callable[[Draw], str]


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One placeholder.

    Attributes:
        usage: its syntax with arguments, without braces.
        text: one sentence that describes the result.
        make: parses the arguments and returns the function that builds the text; raises ValueError for invalid
            arguments.
    """

    usage: str
    text: str
    make: Callable[[Sequence[str]], Maker]


def _plain(maker: Maker) -> Callable[[Sequence[str]], Maker]:
    def make(arguments: Sequence[str]) -> Maker:
        _count(arguments, 0, 0)
        return maker

    return make


def _count(arguments: Sequence[str], least: int, most: int | None) -> None:
    given = len(arguments)
    if given < least or (most is not None and given > most):
        wanted = "no argument" if most == 0 else f"{least}" if least == most else f"{least} or more"
        if most is not None and most > least:
            wanted = f"{least} to {most}"
        noun = "" if most == 0 else " argument" if wanted == "1" else " arguments"
        raise ValueError(f"it takes {wanted}{noun}, not {given}")


def _int(text: str) -> int:
    if not re.fullmatch(r"[+-]?\d{1,18}", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?\d{1,15}(\.\d{1,15})?", text):
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def _between(text: str, least: int, most: int, what: str) -> int:
    found = _int(text)
    if not least <= found <= most:
        raise ValueError(f"{what} must be {least} to {most}, not {found}")
    return found


def _ordered(low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"the smaller number comes first, not {low:g} {high:g}")


def pick(draw: Draw, choices: Sequence[T]) -> T:
    """One of them, each as likely."""
    return choices[int(draw.random() * len(choices))]


def _seq(arguments: Sequence[str]) -> Maker:
    _count(arguments, 0, 1)
    first = _int(arguments[0]) if arguments else 1
    return lambda draw: str(first + draw.seq)


def _whole(arguments: Sequence[str]) -> Maker:
    _count(arguments, 2, 2)
    low, high = _int(arguments[0]), _int(arguments[1])
    _ordered(low, high)
    return lambda draw: str(low + int(draw.random() * (high - low + 1)))


def _decimal(arguments: Sequence[str]) -> Maker:
    _count(arguments, 2, 3)
    low, high = _number(arguments[0]), _number(arguments[1])
    digits = _between(arguments[2], 0, DIGITS_MAX, "the number of digits") if len(arguments) == 3 else 2
    _ordered(low, high)
    return lambda draw: f"{low + draw.random() * (high - low):.{digits}f}"


def _normal(arguments: Sequence[str]) -> Maker:
    _count(arguments, 2, 3)
    mean, deviation = _number(arguments[0]), _number(arguments[1])
    digits = _between(arguments[2], 0, DIGITS_MAX, "the number of digits") if len(arguments) == 3 else 2

    def make(draw: Draw) -> str:
        # Box-Muller transform: two uniform draws give one normally distributed value.
        far = math.sqrt(-2 * math.log(1 - draw.random()))
        return f"{mean + deviation * far * math.cos(2 * math.pi * draw.random()):.{digits}f}"

    return make


def _choice(arguments: Sequence[str]) -> Maker:
    _count(arguments, 1, None)
    choices = tuple(arguments)
    return lambda draw: pick(draw, choices)


def _weighted(arguments: Sequence[str]) -> Maker:
    _count(arguments, 1, None)
    choices: list[tuple[str, float]] = []
    for argument in arguments:
        text, colon, weight = argument.rpartition(":")
        if not colon or not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", weight):
            raise ValueError(f"{argument!r} is not CHOICE:WEIGHT, as in ok:95")
        choices.append((text, float(weight)))
    total = sum(weight for _, weight in choices)
    if not total:
        raise ValueError("the weights are all 0")

    def make(draw: Draw) -> str:
        at = draw.random() * total
        for text, weight in choices:
            if at < weight:
                return text
            at -= weight
        return next(text for text, weight in reversed(choices) if weight)

    return make


def _bool(arguments: Sequence[str]) -> Maker:
    _count(arguments, 0, 1)
    percent = _number(arguments[0]) if arguments else 50.0
    if not 0 <= percent <= 100:
        raise ValueError(f"a percentage must be 0 to 100, not {percent:g}")
    return lambda draw: "true" if draw.random() * 100 < percent else "false"


def _hex(arguments: Sequence[str]) -> Maker:
    _count(arguments, 1, 1)
    digits = _between(arguments[0], 1, LENGTH_MAX, "the number of digits")
    return lambda draw: "".join("0123456789abcdef"[int(draw.random() * 16)] for _ in range(digits))


def _words(arguments: Sequence[str]) -> Maker:
    _count(arguments, 0, 1)
    words = _between(arguments[0], 1, LENGTH_MAX // 10, "the number of words") if arguments else 1
    return lambda draw: " ".join(pick(draw, PLAIN_WORDS) for _ in range(words))


def _text(arguments: Sequence[str]) -> Maker:
    _count(arguments, 1, 1)
    text = arguments[0]
    return lambda draw: text


def _uuid(draw: Draw) -> str:
    digits = [int(draw.random() * 16) for _ in range(32)]
    digits[12], digits[16] = 4, 8 | digits[16] & 3
    text = "".join("0123456789abcdef"[digit] for digit in digits)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _time(draw: Draw) -> str:
    moment = EPOCH + timedelta(milliseconds=draw.now_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _date(draw: Draw) -> str:
    return _time(draw)[:10]


def _name(draw: Draw) -> str:
    return f"{pick(draw, FIRST_NAMES)} {pick(draw, LAST_NAMES)}"


def _email(draw: Draw) -> str:
    return f"{_name(draw).lower().replace(' ', '.').translate(PLAIN)}@example.com"


def _ip(draw: Draw) -> str:
    # The three blocks that documentation may use (RFC 5737).
    return f"{pick(draw, ('192.0.2', '198.51.100', '203.0.113'))}.{int(draw.random() * 254) + 1}"


def _key(draw: Draw) -> str:
    return draw.key or ""


PLACEHOLDERS = {
    "seq": Placeholder("seq 1", "The number of the event, counted from 1, or from the number that follows.", _seq),
    "uuid": Placeholder("uuid", "A random UUID.", _plain(_uuid)),
    "now": Placeholder("now", "The time, in ms since 1970.", _plain(lambda draw: str(draw.now_ms))),
    "time": Placeholder("time", "The time as 2024-05-01T12:30:00.000Z.", _plain(_time)),
    "date": Placeholder("date", "The day as 2024-05-01.", _plain(_date)),
    "int": Placeholder("int 1 100", "A whole number, both ends among them.", _whole),
    "decimal": Placeholder("decimal 1 100 2", "A number with this many decimal places, 2 by default.", _decimal),
    "normal": Placeholder("normal 21 1.5 1", "A number around a mean: mean, standard deviation, digits.", _normal),
    "bool": Placeholder("bool 10", "true in this percentage of the events, 50 by default; otherwise false.", _bool),
    "choice": Placeholder('choice red "dark blue" green', "One of these, each as likely.", _choice),
    "weighted": Placeholder("weighted ok:95 failed:5", "One of these, as likely as its weight says.", _weighted),
    "pool": Placeholder("pool", "The number of the event's key in the pool of keys.", _plain(lambda d: str(d.pool))),
    "key": Placeholder("key", "The event's key. Not in the key itself.", _plain(_key)),
    "name": Placeholder("name", "A person's name.", _plain(_name)),
    "first": Placeholder("first", "A first name.", _plain(lambda draw: pick(draw, FIRST_NAMES))),
    "email": Placeholder("email", "An address at example.com.", _plain(_email)),
    "city": Placeholder("city", "A city.", _plain(lambda draw: pick(draw, CITIES)[0])),
    "country": Placeholder("country", "A country, as its two letters.", _plain(lambda draw: pick(draw, CITIES)[1])),
    "item": Placeholder("item", "Something that is sold.", _plain(lambda draw: pick(draw, ITEMS))),
    "currency": Placeholder("currency", "A currency, as its three letters.", _plain(lambda d: pick(d, CURRENCIES))),
    "ip": Placeholder("ip", "An IPv4 address that is reserved for documentation.", _plain(_ip)),
    "path": Placeholder("path", "A path of a web shop.", _plain(lambda draw: pick(draw, PATHS))),
    "word": Placeholder("word 3", "This many plain words, 1 by default.", _words),
    "hex": Placeholder("hex 16", "This many random hexadecimal digits.", _hex),
    "text": Placeholder('text "{{"', "The text itself, for braces that are no placeholder.", _text),
}
"""Placeholders by name. The parser handles `same NAME` itself, because it needs earlier values."""
