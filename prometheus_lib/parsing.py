"""The old place of `prompts.parsing`."""

from .prompts.parsing import parse_direct, parse_pairwise

__all__ = ["parse_direct", "parse_pairwise"]
