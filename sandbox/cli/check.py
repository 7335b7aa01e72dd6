"""`sandbox check`: checks a sandbox file for damage. It repairs nothing."""

from pathlib import Path

import click

from sandbox.cli.display import printable, progress_bar, show_json
from sandbox.cli.status import Failed, Status
from sandbox.cli.target import chosen_file, json_option

OLDER = " {:,} record batches and rows were written by an earlier version and have no checksum."


@click.command(
    epilog="""\b
It exits with 0 where the file is whole, and with 1 where something is not as it was written.

\b
Examples:
  sandbox check dev.db
  sandbox check dev.db-snapshots/before-the-demo.db --json"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@json_option
@click.pass_context
def check(context: click.Context, file: Path | None, as_json: bool) -> None:
    """Check FILE for damage, running or not: every event, commit and setting. Nothing is changed.

    FILE defaults to SANDBOX_FILE or dev.db. Each finding names its place and what to do.
    """
    from sandbox.storage.check import check as look_through
    from sandbox.storage.check import count_batches

    path = chosen_file(file)
    if not path.exists():
        raise Failed(f"{path} does not exist. Name a sandbox file.", Status.FILE_REFUSED)
    with progress_bar("Checking record batches", count_batches(path)) as advance:
        report = look_through(path, advance)
    if as_json:
        show_json(report.as_dict())
    else:
        for finding in report.findings:
            click.echo(printable(finding.text))
        looked = f"{report.events:,} events in {report.batches:,} record batches and {report.rows:,} rows beside them"
        count = len(report.findings)
        found = "1 thing is" if count == 1 else f"{count:,} things are"
        older = OLDER.format(report.without_checksum) if report.without_checksum else ""
        if not report.recognized:
            click.echo(f"{path} is not a sandbox file, or its beginning is damaged.")
        elif report.whole:
            click.echo(f"{path} is whole: {looked} are as they were written.{older}")
        else:
            click.echo(f"{path} is damaged: {found} not as written. Looked at {looked}; nothing was changed.{older}")
    if not report.whole:
        context.exit(Status.FAILED)
