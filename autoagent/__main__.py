"""`python -m autoagent`."""

import sys

# Python puts the current folder first, and a folder of a package's name there would be it.
if sys.path and sys.path[0] in ("", __import__("os").getcwd()):
    del sys.path[0]

from autoagent.cli import main

if __name__ == "__main__":
    sys.exit(main())
