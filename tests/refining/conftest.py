from __future__ import annotations

from chat_server import other_server, server, surroundings, waits

__all__ = ["other_server", "server", "surroundings", "waits"]
