"""Serving the application: a socket bound first, so that the chosen port is known."""

import socket

import uvicorn
from fastapi import FastAPI


def bind(address: str) -> socket.socket:
    """Return a socket listening on `host:port`; port 0 lets the system choose.

    Raises:
        ValueError: not of the form host:port.
        OSError: the address is taken or not ours.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit():
        raise ValueError(f"{address!r} is not host:port")
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, int(port)))
    return bound


def base_url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://{host}:{port}"


def server(app: FastAPI) -> uvicorn.Server:
    """Return a server that does not wait for calls that are hanging on purpose."""
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    )
