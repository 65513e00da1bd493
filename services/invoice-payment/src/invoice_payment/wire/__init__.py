"""Domain values to messages and back: replies, published events, and events of other services."""
