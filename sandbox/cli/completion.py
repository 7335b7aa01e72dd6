"""`sandbox completion`: scripts with which a shell completes commands and options."""

import click
from click.shell_completion import get_completion_class

SHELLS = {
    "bash": 'eval "$(sandbox completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(sandbox completion zsh)" in ~/.zshrc',
    "fish": "sandbox completion fish > ~/.config/fish/completions/sandbox.fish",
}
_PLACES = "\n".join(f"  {shell:<5} {line}" for shell, line in SHELLS.items())


@click.command(epilog=f"\b\nTo use it:\n{_PLACES}")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands and options."""
    root = context.find_root()
    # The name by which it was started: sandbox or kafka-sandbox.
    name = (root.info_name or "sandbox").rpartition("/")[2]
    if name.startswith("python"):
        name = "sandbox"
    found = get_completion_class(shell)
    assert found is not None
    variable = f"_{name}_complete".replace("-", "_").upper()
    click.echo(found(root.command, {}, name, variable).source())
