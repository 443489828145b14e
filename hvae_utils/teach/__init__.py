"""The course: lessons that check themselves, and their student copies."""
