"""A run: the notebooks executed, checked, reported and published."""
