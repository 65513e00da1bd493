"""Stored state: loaded and saved, with the events that tell of it, never without them."""
