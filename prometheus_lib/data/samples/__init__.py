"""Small sets of our own to try things on.

`email_replies.csv`: 12 e-mails with three replies each, and a score from 1 to 5 for how well a reply helps. E-mails,
replies and scores were written for this project; the three writers (careful, brief, careless) are made up.
"""

from __future__ import annotations

from pathlib import Path

from ...records import DataError


def sample_file(name: str) -> Path:
    """Return the path of a small set by its name; DataError lists the names there are.

    >>> sample_file("email_replies").name
    'email_replies.csv'
    """
    known = {file.stem: file for file in Path(__file__).parent.glob("*.csv")}
    if name not in known:
        raise DataError(f"no small set is named {name!r}; there are {', '.join(sorted(known))}.")
    return known[name]
