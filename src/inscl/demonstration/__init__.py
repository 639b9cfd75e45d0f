"""The demo: one small stream, learned with No Replay and with InsCL, side by side."""

from inscl.demonstration.demo import run_demo

__all__ = ["run_demo"]
