"""Judging your own: score, compare and rank responses in one call, and how far to trust the result."""
