"""Where it runs: parts and boards."""
