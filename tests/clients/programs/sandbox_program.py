"""The sandbox with other settings; the command line has none of the broker's.

    python -m tests.clients.programs.sandbox_program FILE SETTINGS

SETTINGS is JSON, name to value. It prints `{"kafka", "web"}` when it answers, and ends with its standard input.
"""

from __future__ import annotations

import json
import sys

from sandbox import Sandbox


def main(file: str, settings: str) -> None:
    with Sandbox(file, settings=json.loads(settings)) as sandbox:
        sandbox.serve(kafka_port=0, web_port=0)
        print(json.dumps({"kafka": sandbox.kafka_address, "web": sandbox.web_address}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
