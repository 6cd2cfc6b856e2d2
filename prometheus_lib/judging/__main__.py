"""`python -m prometheus_lib.judging`: see `command`."""

import sys

from ..records import DataError
from .command import main

if __name__ == "__main__":
    try:
        main()
    except DataError as error:
        sys.exit(f"error: {error}")
