"""Streams of tasks: what they are made of, and how they are read."""

from inscl.contract import Example, Memory, Stream, Task
from inscl.data.orders import ORDERS
from inscl.data.stream import load_stream

__all__ = ["ORDERS", "Example", "Memory", "Stream", "Task", "load_stream"]
