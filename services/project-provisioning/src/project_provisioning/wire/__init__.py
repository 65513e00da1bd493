"""Domain to protobuf and back, one module for each aggregate: requests, replies, events."""
