"""The old place of `python -m prometheus_lib run`: `python -m prometheus_lib.run` keeps working."""

import sys

from .__main__ import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
