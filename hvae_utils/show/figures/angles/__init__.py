"""The figures that lay the angle, in degrees, along a straight axis."""
