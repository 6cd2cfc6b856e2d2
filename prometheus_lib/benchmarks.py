"""The old place of `data.benchmarks`."""

from .data.benchmarks import load_benchmark

__all__ = ["load_benchmark"]
