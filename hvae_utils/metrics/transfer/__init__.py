"""Does a value travel: other games, graded weights, and what a respondent can do at all."""
