"""`sandbox groups alert`: thresholds of groups, kept in the file, and the webhook that they are posted to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from sandbox.cli.display import printable, show_json, show_rows
from sandbox.cli.status import Failed, Status
from sandbox.cli.target import DEFAULT_FILE, Target, chosen_file, json_option

if TYPE_CHECKING:
    from sandbox.api.sandbox import Sandbox
    from sandbox.cli.page_address import PageAddress


class _Alerts(Protocol):
    """The alerts of a file, through its owner or in this process."""

    def read(self) -> dict[str, Any]:
        """Return `alerts`, `firing` and `webhook`."""

    def set(self, group: str, lag: int | None, age_ms: int | None) -> None:
        """Set the thresholds of a group; none removes them."""

    def set_webhook(self, url: str) -> None:
        """Set the webhook, "" for none."""


class _PageAlerts:
    """The alerts of a file that another process owns, through its page."""

    def __init__(self, page: "PageAddress") -> None:
        self._page = page

    def read(self) -> dict[str, Any]:
        return self._page.get("/groups/~alerts.json")

    def set(self, group: str, lag: int | None, age_ms: int | None) -> None:
        age = None if age_ms is None else f"{age_ms}ms"
        self._page.post("/groups/~alerts.json", {"group": group, "lag": lag, "age": age})

    def set_webhook(self, url: str) -> None:
        self._page.post("/groups/~alerts.json", {"webhook": url})


class _FileAlerts:
    """The alerts of a file without an owner."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._alerts = sandbox.alerts

    def read(self) -> dict[str, Any]:
        from dataclasses import asdict

        return {
            "alerts": [asdict(one) for one in self._alerts.list()],
            "firing": [{**asdict(one), "text": one.text} for one in self._alerts.firing()],
            "webhook": self._alerts.webhook,
        }

    def set(self, group: str, lag: int | None, age_ms: int | None) -> None:
        if lag is None and age_ms is None:
            self._alerts.remove(group)
        else:
            self._alerts.set(group, lag=lag, age_ms=age_ms)

    def set_webhook(self, url: str) -> None:
        self._alerts.set_webhook(url or None)


@contextmanager
def _alerts_of(file: Path | None) -> Iterator[_Alerts]:
    from sandbox.cli.page_address import of_owner
    from sandbox.storage.file.lock import read_owner

    path = chosen_file(file)
    Target(path, {}, path).require()
    owner = read_owner(path)
    if owner is None:
        from sandbox.api.sandbox import Sandbox

        with Sandbox(path) as sandbox:
            yield _FileAlerts(sandbox)
        return
    page = of_owner(owner)
    if page is None:
        raise Failed(
            f"The sandbox on {path} (process {owner.get('pid', 'unknown')}) has no page open to ask it through. "
            "`sandbox up` opens one.",
            Status.FILE_IN_USE,
        )
    yield _PageAlerts(page)


@click.command(
    "alert",
    epilog="""\b
Examples:
  sandbox groups alert billing --lag 1000 --age 5m
  sandbox groups alert billing --off
  sandbox groups alert --webhook https://hooks.example.com/kafka
  sandbox groups alert""",
)
@click.argument("group", required=False)
@click.option("--lag", type=click.IntRange(min=0), metavar="N", help="Alert if the lag is above N.")
@click.option("--age", metavar="TIME", help="Alert if the oldest unread event is older, such as 40s or 5m.")
@click.option("--off", is_flag=True, help="Remove the group's alert.")
@click.option("--webhook", metavar="URL", help="Post every alert that begins or ends to this http or https URL.")
@click.option("--no-webhook", is_flag=True, help="Post alerts nowhere.")
@click.option(
    "--file",
    "-f",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help=f"The sandbox file, running or not [env: SANDBOX_FILE, else {DEFAULT_FILE}].",
)
@json_option
def alert(
    group: str | None,
    lag: int | None,
    age: str | None,
    off: bool,
    webhook: str | None,
    no_webhook: bool,
    file: Path | None,
    as_json: bool,
) -> None:
    """Set the thresholds of GROUP, or list all alerts. The page shows which ones are exceeded."""
    changes = lag is not None or age is not None or off
    if changes and group is None:
        raise click.UsageError("name the GROUP")
    if group is not None and not changes:
        raise click.UsageError("say --lag N, --age TIME, both, or --off")
    if off and (lag is not None or age is not None):
        raise click.UsageError("--off excludes --lag and --age")
    if webhook is not None and no_webhook:
        raise click.UsageError("--webhook and --no-webhook exclude each other")
    age_ms = _age_ms(age)
    with _alerts_of(file) as alerts:
        if group is not None:
            alerts.set(group, lag, age_ms)
        if webhook is not None or no_webhook:
            alerts.set_webhook(webhook or "")
        found = alerts.read()
    if as_json:
        show_json({name: found[name] for name in ("alerts", "firing", "webhook")})
        return
    _show(found)


def _age_ms(age: str | None) -> int | None:
    from sandbox.model.times import duration_in_ms

    try:
        return None if age is None else duration_in_ms(age)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--age") from None


def _show(found: dict[str, Any]) -> None:
    from sandbox.model.times import duration

    firing: dict[str, list[str]] = {}
    for one in found["firing"]:
        firing.setdefault(one["group"], []).append(one["text"])
    rows = [
        {
            "group": one["group"],
            "lag": one["lag"],
            "age": None if one["age_ms"] is None else duration(one["age_ms"]),
            "exceeded": "; ".join(firing.get(one["group"], [])) or "no",
        }
        for one in found["alerts"]
    ]
    show_rows(("group", "lag", "age", "exceeded"), rows, as_json=False, empty="No group has an alert.")
    if found["webhook"]:
        click.echo(f"Posted to {printable(found['webhook'])}")
