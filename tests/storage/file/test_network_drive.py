"""Which file systems are taken for network drives."""

from pathlib import Path

import pytest

from sandbox.storage.file.location import network_drive_warning

MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 22 0:40 / /mnt/team rw,relatime shared:2 - nfs4 server:/team rw
41 40 254:2 / /mnt/team/fast rw - xfs /dev/vdb rw
42 22 0:41 / /mnt/my\\040share rw - cifs //server/share rw
43 22 0:42 / /home/ann/cloud rw - fuse.sshfs ann@server: rw
44 22 8:1 / /media/stick rw - fuseblk /dev/sda1 rw
45 22 0:44 / /mnt/c rw - 9p drvfs rw
a line that is something else
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ann/dev.db", None),
        ("/mnt/team/dev.db", "nfs4"),
        ("/mnt/teams/dev.db", None),
        ("/mnt/team/fast/dev.db", None),
        ("/mnt/my share/dev.db", "cifs"),
        ("/home/ann/cloud/a/dev.db", "fuse.sshfs"),
        ("/media/stick/dev.db", None),
        ("/mnt/c/dev.db", "9p"),
    ],
)
def test_a_file_on_a_network_drive_is_warned_of(tmp_path: Path, path: str, kind: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    found = network_drive_warning(Path(path), mounts)
    assert found is None if kind is None else f"{path} lies on a file system of the type {kind}" in (found or "")


def test_where_the_system_does_not_say_what_is_mounted_nothing_is_warned_of(tmp_path: Path) -> None:
    assert network_drive_warning(Path("/mnt/team/dev.db"), tmp_path / "none") is None
