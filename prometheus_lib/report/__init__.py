"""The report of a run as one page that needs no other file, from what the run left: ledger, tables, figures, manifest.

| module | what |
|---|---|
| `stored` | what is read of a run, and what identifies it |
| `places` | where a number comes from: the cell of a notebook, the function of the library |
| `cards`, `strips` | a claim: the paper's number, ours, the picture of its interval, verdict and reason |
| `contents` | findings, tables, figures and the stamp, ready to be shown |
| `page` | the page, at most three megabytes |
"""

from .page import LIMIT, NAME, STALE, report_page, report_state, write_report
from .stored import Stored, read_stored

__all__ = ["LIMIT", "NAME", "STALE", "Stored", "read_stored", "report_page", "report_state", "write_report"]
