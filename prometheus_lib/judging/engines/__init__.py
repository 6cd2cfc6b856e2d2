"""The engines behind judges: one file each."""
