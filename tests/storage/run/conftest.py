from __future__ import annotations

from reports.conftest import write_run  # noqa: F401 - a fixture
