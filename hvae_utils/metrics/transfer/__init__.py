"""Does the value travel: the utility that the slider shows, and the choices of other games."""
