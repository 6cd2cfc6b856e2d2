"""The paper's printed numbers."""
