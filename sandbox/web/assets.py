"""Finds the folders of templates and static files."""

from pathlib import Path


def asset_folder(name: str) -> Path:
    """Find a folder of assets: in the package (an installed wheel), else at the root of the project (a checkout).

    Args:
        name: "templates", "static" or "docs".

    Returns:
        The folder, which exists.

    Raises:
        FileNotFoundError: neither place has it: the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / name, package.parents[1] / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the folder {name!r} is missing: install the package again")
