"""Training data, benchmark items and recorded judgments."""
