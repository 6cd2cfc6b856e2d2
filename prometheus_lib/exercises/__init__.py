"""The exercises at the end of each notebook: a warm-up, a function to build and a small project, and their checker.

Each notebook's topic has a module with `WARM_UP`, `BUILD` and `PROJECT`; solutions lie in `notebooks/solutions/`.
"""

from .checking import Case, Function, Value, attempt, check, named, same

__all__ = ["Case", "Function", "Value", "attempt", "check", "named", "same"]
