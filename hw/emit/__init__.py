"""Graph and schedule to RTL text."""
