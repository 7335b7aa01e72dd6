"""More time for what can be interrupted to end, on a machine that is busy with other tests.

`python -m tests.patience up ...` is `sandbox up ...` with it. What cannot be interrupted is abandoned after these times
instead of the usual ones, so a test of that runs the usual `sandbox`.
"""

from sandbox.cli import ending
from sandbox.cli.main import main
from sandbox.storage.file import readers
from sandbox.web import lanes

MODULE = "tests.patience"
TIMES_S = ((ending, "WITHIN_S", 30.0), (readers, "CLOSE_WITHIN_S", 10.0), (lanes, "CANCEL_WITHIN_S", 10.0))
"""Module, name and value of each time."""


if __name__ == "__main__":
    for module, name, value_s in TIMES_S:
        setattr(module, name, value_s)
    main()
