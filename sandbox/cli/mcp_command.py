"""`sandbox mcp`: a Model Context Protocol server for coding agents."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from sandbox.cli.status import Failed
from sandbox.cli.target import chosen_file
from sandbox.runtime.ports import PORT_MAX

EXTRA = "`sandbox mcp` needs the package mcp: pip install 'kafka-sandbox[mcp]'"


@click.command(
    epilog="""\b
Examples:
  sandbox mcp dev.db
  sandbox mcp dev.db --write
  sandbox mcp --url http://127.0.0.1:8080
  claude mcp add kafka -- kafka-sandbox mcp dev.db"""
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--url", metavar="URL", help="The page of a running sandbox, or of `sandbox ui` over a real cluster.")
@click.option(
    "--token",
    metavar="TEXT",
    envvar="SANDBOX_TOKEN",
    show_envvar=True,
    help="The token that the page at --url requires.",
)
@click.option("--write", is_flag=True, help="Also offer the tools that produce, reset, restore and inject faults.")
@click.option(
    "--http-port",
    type=click.IntRange(0, PORT_MAX),
    help="Serve HTTP at 127.0.0.1:PORT/mcp instead of stdin and stdout.",
)
def mcp_command(file: Path | None, url: str | None, token: str | None, write: bool, http_port: int | None) -> None:
    """Serve the sandbox on FILE to a coding agent, over stdin and stdout.

    If FILE has a running sandbox, its page is used. Otherwise one is started on free ports, and ends with this command.
    Without --write nothing can be changed.
    """
    if file is not None and url is not None:
        raise click.UsageError("FILE and --url exclude each other")
    try:
        from sandbox.agent.server import build
    except ModuleNotFoundError as error:
        if error.name not in ("mcp", "mcp_types", "pydantic"):
            raise
        raise Failed(EXTRA) from error
    from sandbox.agent.page_data import PageData
    from sandbox.agent.tools import Tools

    with _page(file, url, token, write) as (address, asked):
        page = PageData(address, asked)
        server = build(Tools(page, lambda: page.get("help", "diagnostics").get("kafka")), write=write)
        if http_port is None:
            server.run("stdio")
        else:
            server.run("streamable-http", host="127.0.0.1", port=http_port)


@contextmanager
def _page(file: Path | None, url: str | None, token: str | None, write: bool) -> Iterator[tuple[str, str | None]]:
    if url is not None:
        yield url, token
        return
    from sandbox.storage.file.lock import read_owner

    path = chosen_file(file)
    owner = read_owner(path)
    if owner is not None:
        address = owner.get("web")
        if not isinstance(address, str):
            raise Failed(
                f"{path} is in use by process {owner.get('pid')}, which has no page. Start it with: sandbox up"
            )
        given = owner.get("token")
        yield address, token or (given if isinstance(given, str) else None)
        return
    if not (path.exists() or write):
        raise Failed(f"{path} does not exist. Start a sandbox with: sandbox up {path}; or create it with --write.")
    from sandbox.api.sandbox import Sandbox

    with Sandbox(path, read_only=not write) as box:
        box.serve(kafka_port=0, web_port=0)
        assert box.web_address is not None
        yield box.web_address, box.web_token
