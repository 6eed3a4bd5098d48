"""Boards inside the search: who is measured, what it says of the others, what is stored."""
