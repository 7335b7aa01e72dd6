"""Rules for every template: its lines, and the forms that a read-only page disables."""

import re
from pathlib import Path

TEMPLATES = sorted((Path(__file__).parents[2] / "templates").rglob("*.html"))
LINE_MAX = 160
CHANGES = re.compile(r"\{%\s*call\s+changes\(")
FORM = re.compile(r"(<form\b(?:[^>{]|\{\{.*?\}\}|\{%.*?%\})*>)(.*?)</form>", re.DOTALL)


def test_every_form_that_changes_something_is_off_on_a_read_only_page() -> None:
    forms = [(path.name, form) for path in TEMPLATES for form in FORM.finditer(path.read_text(encoding="utf-8"))]
    posts = [(name, form) for name, form in forms if 'method="post"' in form[1]]
    assert len(posts) > 30
    changing = [(name, form) for name, form in posts if 'data-changes="nothing"' not in form[1]]
    assert [(name, form[1]) for name, form in changing if not CHANGES.match(form[2])] == []


def test_no_line_is_longer_than_160_characters() -> None:
    lines = [
        (f"{path.parent.name}/{path.name}:{number}", line)
        for path in TEMPLATES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]
    assert [place for place, line in lines if len(line) > LINE_MAX] == [], "break these lines inside a tag or a {{ }}"
