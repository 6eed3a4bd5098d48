"""A bundle on a board: from the host's side, with what is kept and said of it."""
