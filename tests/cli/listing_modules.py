"""`python -m sandbox`, which prints the names of all imported modules on stderr when it ends."""

import atexit
import sys

from sandbox.cli.main import main

atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))
main()
