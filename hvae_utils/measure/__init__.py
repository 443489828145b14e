"""What is asked, and how answers become angles: instruments, values, factors, scoring."""
