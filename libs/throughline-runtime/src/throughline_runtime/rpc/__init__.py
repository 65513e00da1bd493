"""Questions and commands between services over gRPC: one server and one client for all of them."""
