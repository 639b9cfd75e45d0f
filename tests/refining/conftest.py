from __future__ import annotations

from chat_server import server, surroundings, waits

__all__ = ["server", "surroundings", "waits"]
