"""The figures of other games than the slider, and of weights told as numbers."""
