"""Checks an installed package on any system: one event from a producer to a consumer, and one page."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

from confluent_kafka import Consumer, Producer


def main() -> None:
    """Start `sandbox up`, use it over its ports, and end it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-m", "sandbox", "up", str(Path(folder) / "smoke.db"), "--json", "--while-stdin"]
        command += ["--kafka-port", "0", "--ui-port", "0"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            ready = json.loads(process.stdout.readline())
            producer = Producer({"bootstrap.servers": ready["kafka"]})
            producer.produce("orders", "paid ✓")
            assert producer.flush(30) == 0
            settings = {"group.id": "smoke", "auto.offset.reset": "earliest"}
            consumer = Consumer({"bootstrap.servers": ready["kafka"], **settings})
            consumer.subscribe(["orders"])
            message = consumer.poll(30)
            assert message is not None
            assert message.value() == "paid ✓".encode()
            consumer.close()
            with urlopen(f"{ready['web']}/topics.json", timeout=30) as answer:
                assert [one["topic"] for one in json.load(answer)["topics"]] == ["orders"]
            process.stdin.close()
            process.wait(30)
    print("ok")


if __name__ == "__main__":
    main()
