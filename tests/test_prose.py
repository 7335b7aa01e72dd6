"""The project is written in plain technical English: odd phrases are at most `RATE_MAX` per 1,000 words of prose.

Prose is docstrings, comments, the strings of code that are sentences, the text of templates, and the documents.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
RATE_MAX = 0.5
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/*.md", "sample_data/README.md")
CODE = ("sandbox/**/*.py", "tests/**/*.py", "benchmarks/**/*.py", "sample_data/*.py", "docs/*.py")
TEMPLATES = ("templates/**/*.html",)
OWN = Path(__file__).resolve()
COMMENT = re.compile(r"(?:^\s*|\s\s)#+ (.*)")

PATTERNS = (
    (r"\b(?:is|are|was|were|be|been|being) told\b", "is reported, is logged, gets"),
    (r"\bs(?:ay|ays|aid|aying) so\b", "reports it, logs it"),
    (r"\btells? (?:of|which|what|who|how|whether|when|why|it|the)\b", "reports, returns, shows"),
    (r"\bof wh(?:ich|om)\b", "name it, or two sentences"),
    (r"\b(?:that|those) of\b", "a possessive or a plain noun"),
    (r"\bso many\b", "N, the number of"),
    (r"\bnone where\b|\bwhere there (?:is|are) (?:none|no)\b|\bwhere one is\b", "if"),
    (r"(?:\A|\.\s|\n\n)(?-i:What|Who|Whom|How|Where) (?:is|was|are|were|has|it|they) (?![^.]*\?)", "name the thing"),
    (r"\bwhom\b|\bwhoever\b|\bwho (?:asks|reads|writes|wants|waits|looks)\b", "name the client, the caller, the user"),
    (r"\bfor ever\b", "forever"),
    (r"\bbe it\b|\bever so (?:little|small|slightly)\b", "even a little"),
    (r"\ball the same\b|\bnone the less\b", "anyway"),
    (r"\b(?:on|of) (?:its|their|one's) own\b", "separately, its own ..."),
    (r"\bat work\b", "running"),
    (r"\bwithout end\b", "unlimited"),
    (r"\bmend(?:s|ed|ing)?\b", "fix, repair"),
    (r"\b(?:take|takes|taken|took|put|puts) out\b", "delete, remove"),
    (r"\b(?:put|puts|give|gives|given|gave) back\b", "restore, release"),
    (r"\b(?:go|goes|going|went|gone) on\b", "continue"),
    (r"\b(?:come|comes|came) (?:to be|about)\b", "is created, happens"),
    (r"\b(?:is|are|was|were|be|been) made\b|\bmade (?:of|from|out of)\b", "is created, is built from"),
    (r"\b(?:lie|lies|lay) (?:in|at)\b", "is in"),
    (r"\bplay(?:s|ed)\b|\bpretend(?:s|ed)?\b", "simulate"),
    (r"\bnobody\b|\bnothing (?:is|was) made\b", "the state: no consumers, no active faults"),
    (
        r"\b(?:once|events|requests|batches|bytes|times|commits|[KM]B|lines|messages) an? "
        r"(?:second|minute|hour|day|line|batch|tab|turn)\b",
        "per second, per line",
    ),
    (r"\bmakes? no sense\b", "is invalid"),
)
"""Each pattern, and what to write instead."""


class Prose(NamedTuple):
    """A piece of prose with its place."""

    path: Path
    line: int
    text: str


def prose_of(path: Path, text: str) -> Iterator[Prose]:
    """Yield the prose of a file, piece by piece."""
    if path.suffix == ".py":
        yield from _code(path, text)
    elif path.suffix == ".html":
        yield from _lines(path, _without_markup(text))
    else:
        yield from _lines(path, re.sub(r"(?s)```.*?```|`[^`\n]*`", _blanked, text))


def _lines(path: Path, text: str) -> Iterator[Prose]:
    yield Prose(path, 1, text)


def _blanked(found: re.Match[str]) -> str:
    """Replace a match by its line ends, so that lines keep their numbers."""
    return " ...".ljust(1) + "\n" * found[0].count("\n")


def _without_markup(text: str) -> str:
    text = re.sub(r"(?s)\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<(script|style|code|pre)\b.*?</\1>", _blanked, text)
    titles = r'\b(?:title|aria-label|placeholder|alt)="([^"]*)"'
    text = re.sub(titles, lambda found: f"> {found[1]} <i", text)
    return re.sub(r"(?s)<[^>]*>", _blanked, text)


def _code(path: Path, text: str) -> Iterator[Prose]:
    for number, line in enumerate(text.splitlines(), 1):
        if comment := COMMENT.search(line):
            yield Prose(path, number, comment[1])
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_sentence(node.value):
            yield Prose(path, node.lineno, re.sub(r"`[^`\n]*`", _blanked, node.value))


def _is_sentence(text: str) -> bool:
    """Return True for a text of at least four words that is neither SQL, code nor markup."""
    if re.match(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|WITH|PRAGMA|FROM|WHERE|AND|import|from)\b", text):
        return False
    return len(re.findall(r"\b[a-z]{2,}\b", text)) >= 4 and not re.search(r"[<>{}\\]{1}[a-z/]|\)\s*\{", text)


def files() -> list[Path]:
    """Every file with prose."""
    found = (path for pattern in (*DOCUMENTS, *CODE, *TEMPLATES) for path in ROOT.glob(pattern))
    return sorted(path for path in found if path != OWN)


def hits(pieces: list[Prose]) -> list[str]:
    """Return "path:line: phrase (instead: words)" of each odd phrase."""
    found = []
    for piece in pieces:
        for pattern, instead in PATTERNS:
            for match in re.finditer(pattern, piece.text, re.IGNORECASE):
                line = piece.line + piece.text.count("\n", 0, match.start())
                found.append(f"{piece.path}:{line}: {match[0]!r} (instead: {instead})")
    return sorted(found)


def words(pieces: list[Prose]) -> int:
    """Return the number of words."""
    return sum(len(re.findall(r"[A-Za-z][A-Za-z'-]*", piece.text)) for piece in pieces)


@pytest.mark.parametrize("part", [CODE, TEMPLATES, DOCUMENTS], ids=["code", "templates", "documents"])
def test_prose_is_plain_technical_english(part: tuple[str, ...]) -> None:
    paths = sorted(path for pattern in part for path in ROOT.glob(pattern) if path != OWN)
    pieces = [piece for path in paths for piece in prose_of(path.relative_to(ROOT), path.read_text())]
    found = hits(pieces)
    rate = 1000 * len(found) / words(pieces)
    listed = "\n".join(found)
    assert rate <= RATE_MAX, f"{rate:.2f} odd phrases per 1,000 words, at most {RATE_MAX}:\n{listed}"


def test_a_phrase_is_found_with_its_file_and_line() -> None:
    odd = 'def f() -> None:\n    """Return it.\n\n    The caller is told.\n    """\n    # Kept for ever.\n'
    assert [hit.rpartition(" (")[0] for hit in hits(list(prose_of(Path("odd.py"), odd)))] == [
        "odd.py:4: 'is told'",
        "odd.py:6: 'for ever'",
    ]


def test_no_module_docstring_opens_with_a_question_word() -> None:
    found = []
    for path in (path for pattern in CODE for path in ROOT.glob(pattern)):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        if re.match(r"(?:What|Who|Whom|Whose|How|Where|When)\b", docstring):
            found.append(f"{path.relative_to(ROOT)}: {docstring.splitlines()[0]}")
    assert found == [], "Name the thing that the module contains or does."
