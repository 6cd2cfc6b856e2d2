"""The old place of `runner.run`: `python -m prometheus_lib.run` keeps working."""

import sys

from .runner.run import main

if __name__ == "__main__":
    sys.exit(main())
