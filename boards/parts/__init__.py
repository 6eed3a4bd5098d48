"""Part files (TOML), as package data."""
