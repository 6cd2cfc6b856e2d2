"""The old place of `runner.verify`: `python -m prometheus_lib.verify` keeps working."""

import sys

from .runner.verify import main

if __name__ == "__main__":
    sys.exit(main())
