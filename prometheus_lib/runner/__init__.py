"""Running the notebooks and checking what they wrote."""
