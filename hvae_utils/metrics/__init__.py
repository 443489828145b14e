"""How well a value is followed, and how sure that is: value rationality, chance, intervals."""
