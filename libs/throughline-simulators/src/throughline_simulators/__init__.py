"""Faithful local stand-ins for the vendors, with fault switches."""

from throughline_simulators.control_client import ControlClient, ControlRefused

__all__ = ["ControlClient", "ControlRefused"]
