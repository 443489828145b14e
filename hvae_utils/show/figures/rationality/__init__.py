"""The figures of value rationality: on the published scale, on that of chance, and by reading."""
