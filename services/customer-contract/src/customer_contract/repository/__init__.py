"""One aggregate with its child rows at a time: state and events saved together or not at all."""
