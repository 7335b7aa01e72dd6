"""A signal ends a command at whatever moment it comes."""

import os
import signal
import subprocess
import sys

import pytest

WITHIN_S = 30
PROGRAM = """
import os, signal, sys
from sandbox.cli import ending

# Signals are handled between two instructions of the main thread: here at each of the moments in which it begins to
# wait, one after the other.
wanted = int(sys.argv[1])
seen = 0

def at_each_instruction(frame, event, argument):
    global seen
    frame.f_trace_opcodes = True
    if event == "opcode":
        seen += 1
        if seen == wanted:
            sys.settrace(None)
            os.kill(os.getpid(), signal.SIGTERM)
    return at_each_instruction

one = ending.Ending()
sys.settrace(at_each_instruction)
if wanted == 0:
    sys.settrace(None)
    os.kill(os.getpid(), signal.SIGTERM)
one.wait()
sys.settrace(None)
print("ended", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="a signal from another process is no handler's on Windows")
@pytest.mark.parametrize("instruction", range(0, 60, 4))
def test_a_signal_at_the_moment_in_which_the_command_begins_to_wait_ends_it(instruction: int) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(instruction)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        # More instructions than there are until it waits: then the signal comes from here.
        program.wait(0.7)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGTERM)
    try:
        out, _ = program.communicate(timeout=WITHIN_S)
    finally:
        program.kill()
    assert (program.returncode, out) == (0, "ended\n")


@pytest.mark.skipif(os.name == "nt", reason="a signal from another process is no handler's on Windows")
def test_what_cannot_be_interrupted_is_abandoned() -> None:
    stuck = "import time; from sandbox.cli import ending; ending.WITHIN_S = 0.2; ending.Ending(); print(); "
    program = subprocess.Popen(
        [sys.executable, "-c", f"{stuck}\nwhile True: time.sleep(60)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    program.stdout.readline()
    program.send_signal(signal.SIGTERM)
    try:
        _, said = program.communicate(timeout=WITHIN_S)
    finally:
        program.kill()
    assert program.returncode == 0
    assert said == "Something did not end within 0.2 s and was abandoned.\n"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signals for single threads")
def test_a_signal_that_another_thread_gets_ends_the_command() -> None:
    # As systems do that deliver a signal of the process to any of its threads.
    program = """
import signal, threading
from sandbox.cli.ending import Ending

ending = Ending()

def get_it():
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Event().wait(60)

threading.Timer(0.3, get_it).start()
ending.wait()
print("ended", flush=True)
import os; os._exit(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert (done.returncode, done.stdout) == (0, "ended\n")
