"""The routes of the gateway: one derived from each method with a path, and a few by hand."""
