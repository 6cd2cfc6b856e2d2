"""The old place of `python -m prometheus_lib verify`: `python -m prometheus_lib.verify` keeps working."""

import sys

from .__main__ import main

if __name__ == "__main__":
    sys.exit(main(["verify", *sys.argv[1:]]))
