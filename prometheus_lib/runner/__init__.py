"""Running the notebooks and checking what they wrote."""

from .executing import NotebookFailed
from .run import run_notebooks

__all__ = ["NotebookFailed", "run_notebooks"]
