"""Programs and commands that do what the Snapshots page does; `snippets` fills in their values."""

PYTHON = """\
from sandbox import Sandbox

with Sandbox("snapshots.db") as sandbox:
    sandbox.append("orders", '{{"id": 1}}', key="user-42")
    sandbox.snapshots.take("before the test")
    sandbox.delete_topic("orders")
    print(sandbox.snapshots.compare("before the test").topics_left)
    sandbox.snapshots.restore("before the test")
    print([topic.topic for topic in sandbox.topics()])
"""

TAKE = """\
sandbox snapshots take "before the test" --file {file}
"""

RESTORE = """\
# The same as a request to this page. In the program that owns the file: sandbox.snapshots.restore({name!r})
import json
from urllib.parse import quote
from urllib.request import Request, urlopen

address = {web!r} + "/snapshots/" + quote({name!r}, safe="") + "/restore.json"
with urlopen(Request(address, b"", {{"X-Sandbox": "program"}}, method="POST")) as answer:
    print(json.load(answer)["said"])
"""

COMMANDS = """\
sandbox snapshots take "before the test" --file {file}
sandbox snapshots list --file {file}
sandbox snapshots compare "before the test" now --file {file}
sandbox snapshots restore "before the test" --file {file}
sandbox snapshots export "before the test" copy.db --file {file}
sandbox snapshots import copy.db --name again --file {file}
sandbox snapshots delete again --file {file}
"""

TEMPLATES = {
    "snapshots": PYTHON,
    "snapshots-take": TAKE,
    "snapshots-restore": RESTORE,
    "snapshots-commands": COMMANDS,
}
