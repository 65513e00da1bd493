"""A service reduced to what fixtures need of one: a declaration and migrations."""
