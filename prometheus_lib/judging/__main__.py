"""`python -m prometheus_lib.judging` is `python -m prometheus_lib judge`, whose code stands above this room."""

import importlib
import sys

if __name__ == "__main__":
    sys.exit(importlib.import_module("prometheus_lib.__main__").main(["judge", *sys.argv[1:]]))
