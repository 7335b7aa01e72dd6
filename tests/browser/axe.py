"""Findings of axe-core on a page."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

OF_COLOUR = ["color-contrast", "link-in-text-block"]
"""The rules of axe that the colours of a theme can break: the same page in the dark is looked at with these."""


def findings(page: Page, rules: list[str] | None = None) -> list[str]:
    """The findings of every level, each in a line.

    Args:
        rules: which rules are asked; None for all.
    """
    # Without the nodes that passed, which are megabytes of a long page.
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    return [
        f"{violation['id']} {[node['target'] for node in violation['nodes'][:3]]}"
        for violation in Axe().run(page, options=options).response["violations"]
    ]
