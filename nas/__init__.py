"""How it is searched: spaces, objectives, algorithms."""
