"""A service of nothing, which the stack runs in its tests as it runs the real ones."""
