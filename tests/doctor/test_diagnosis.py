from __future__ import annotations

import pytest

from inscl.config import kinds
from inscl.config.kinds import BrokenComponent
from inscl.doctor import diagnosis


def test_names_what_is_missing_and_what_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    find = diagnosis.find_spec
    monkeypatch.setattr(diagnosis, "find_spec", lambda name: None if name == "openai" else find(name))
    bad = BrokenComponent("strategies", "newest", "inscl-plugin", "ImportError: x")
    monkeypatch.setattr(kinds, "broken", lambda: [bad])
    found = {finding.subject: finding for finding in diagnosis.diagnose()}
    assert not found["extra [llm]"].ok
    assert "pip install 'inscl[llm]'" in found["extra [llm]"].detail
    assert found["extra [train]"].ok
    assert "ImportError: x" in found["plugin newest (strategies, package inscl-plugin)"].detail
