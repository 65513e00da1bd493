"""The servicers: fields are read here, and commands run once for each request id."""
