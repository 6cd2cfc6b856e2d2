"""Judges, judgments and the store that holds them."""
