from __future__ import annotations

from llm.conftest import other_server, server, surroundings, waits  # noqa: F401 - fixtures
