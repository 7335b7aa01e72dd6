"""No address, name or file name leads out of the folder that is meant."""

import io
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from sandbox.api.sandbox import Sandbox

PROGRAM = {"X-Sandbox": "test"}
FILE = "page.db"
OPEN = {FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}.lock"}
LEADING_OUT = (
    "..",
    "../secret",
    "../../secret",
    "..\\secret",
    "/etc/passwd",
    "{folder}/secret",
    "//secret",
    "C:\\secret",
    "C:secret",
    "\\\\host\\share",
    "a/../../secret",
    "a\0/../secret",
    "\0",
    "secret\0.db",
    "CON",
    "nul.txt",
    "com1",
    "a" * 5_000,
    "ü" * 100,
    ".." + chr(0x2215) + "secret",
    chr(0xFF0E) * 2 + chr(0xFF0F) + "secret",
    "%2e%2e%2fsecret",
    "~/secret",
    "-rf",
    "a:b",
    "a\nb",
    "a?b*",
)
"""Names of snapshots; `{folder}` is the folder of the file."""

STATIC = (
    "../pyproject.toml",
    "..%2fpyproject.toml",
    "%2e%2e/pyproject.toml",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "vendor/../../pyproject.toml",
    "..\\pyproject.toml",
    "..%5cpyproject.toml",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "app.css%00.txt",
    "%00",
    "C:/windows/win.ini",
    "a" * 5_000,
    "..%c0%afpyproject.toml",
    "%252e%252e%252fpyproject.toml",
    "",
    "vendor",
    "vendor/",
)


@pytest.fixture
def secret(box: Sandbox, tmp_path: Path) -> Path:
    """Another sandbox file, where `../secret` leads from the folder of snapshots."""
    box.append("orders", "x")
    box.snapshots.take("kept")
    with Sandbox(tmp_path / "secret.db") as other:
        other.append("secret", "the secret")
    return tmp_path / "secret.db"


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything below a folder that is no part of the open sandbox itself."""
    there = (path for path in folder.rglob("*") if path.is_file() and path.name not in OPEN)
    return {str(path): path.read_bytes() for path in there}


def test_a_name_of_a_snapshot_stays_in_its_folder(
    page: FlaskClient, box: Sandbox, secret: Path, tmp_path: Path
) -> None:
    before = files_of(tmp_path)
    for name in (name.format(folder=tmp_path) for name in LEADING_OUT):
        address = f"/snapshots/{quote(name, safe='')}"
        answers = [page.get(address + suffix) for suffix in ("", "/download", "/restore.json", "/delete")]
        answers += [page.get("/snapshots/~compare.json", query_string={"left": name})]
        for suffix in ("/restore.json", "/delete.json", "/fork.json", "/edit.json"):
            answers.append(page.post(address + suffix, json={"name": "mine"}, headers=PROGRAM))
        answers.append(page.post("/snapshots/kept/edit.json", json={"name": name}, headers=PROGRAM))
        answers.append(page.post("/snapshots.json", json={"name": name}, headers=PROGRAM))
        answers.append(page.post("/snapshots/~upload", data={**form(secret, "x.db"), "name": name}))
        assert {answer.status_code for answer in answers} <= {308, 400, 404, 405}, (name, answers)
        assert not any(b"the secret" in answer.data for answer in answers)
    assert files_of(tmp_path) == before
    assert [topic.topic for topic in box.topics()] == ["orders"]


def form(file: Path, name: str) -> dict[str, object]:
    """A form with a file."""
    return {"file": (io.BytesIO(file.read_bytes()), name)}


def test_the_name_of_an_uploaded_file_is_of_no_account(page: FlaskClient, secret: Path, tmp_path: Path) -> None:
    before = files_of(tmp_path)
    for number, name in enumerate(LEADING_OUT[:12]):
        page.post("/snapshots/~upload", data={**form(secret, name.format(folder=tmp_path)), "name": f"new{number}"})
    after = files_of(tmp_path)
    assert before.items() <= after.items()
    new = [Path(name) for name in after.keys() - before.keys()]
    assert len(new) >= 12
    assert {path.parent.name for path in new} == {f"{FILE}-snapshots"}
    assert {path.stem.rstrip("0123456789") for path in new} == {"new"}


def test_no_address_of_a_static_file_leads_out_of_its_folder_or_lists_it(page: FlaskClient) -> None:
    with page.get("/static/app.css") as there:
        assert there.status_code == 200
    for path in STATIC:
        answer = page.get(f"/static/{path}", follow_redirects=True)
        assert answer.status_code in (400, 404), path
        assert b"hatchling" not in answer.data
        assert b"root:" not in answer.data


def test_no_page_of_help_is_read_from_elsewhere(page: FlaskClient) -> None:
    for path in ("../../../../etc/passwd", "..%2f..%2fdocs", "design", "%00", "%2fetc%2fpasswd"):
        answer = page.get(f"/help/{path}")
        assert answer.status_code in (302, 303, 308, 400, 404), path
        assert b"root:" not in answer.data
