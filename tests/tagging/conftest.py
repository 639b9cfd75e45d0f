from __future__ import annotations

from llm.conftest import server  # noqa: F401 - a fixture
