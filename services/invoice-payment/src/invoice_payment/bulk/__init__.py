"""The hot paths over sets: a few statements, however many items there are."""
