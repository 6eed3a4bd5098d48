"""Graph to C: the integer network as one C99 header, and a program that tests and times it."""
