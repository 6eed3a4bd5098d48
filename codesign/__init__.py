"""Codesign: finds ternary networks for FPGAs by measuring each candidate's own hardware."""
