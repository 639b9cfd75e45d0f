"""Answers are kept in a cache file, or by whoever takes over keeping, for all threads."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from inscl.llm.kept_answers import kept_answers, kept_by
from inscl.storage.files.cache import Cache


class Elsewhere:
    """Keeps in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.asked_for: list[tuple[Path, str]] = []

    def __call__(self, path: Path, fingerprint: str) -> Any:
        self.asked_for.append((path, fingerprint))
        return self

    def get(self, texts: Any) -> dict[str, bytes]:
        return {text: self.kept[text] for text in texts if text in self.kept}

    def put(self, values: Any) -> None:
        self.kept |= values

    def alone(self) -> Any:
        return nullcontext(True)


def test_answers_go_to_the_file_unless_somebody_else_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path))
    default = tmp_path / "answers.sqlite"
    kept_answers(None, "a model").put({"one": b"1"})
    assert Cache(default, "a model").get(["one"]) == {"one": b"1"}
    elsewhere = Elsewhere()
    with kept_by(elsewhere):
        thread = threading.Thread(target=lambda: kept_answers(None, "a model").put({"two": b"2"}))
        thread.start()
        thread.join()
        assert kept_answers(tmp_path / "other", "a model").get(["one", "two"]) == {"two": b"2"}
    assert elsewhere.asked_for == [(default, "a model"), (tmp_path / "other", "a model")]
    assert kept_answers(default, "a model").get(["one", "two"]) == {"one": b"1"}
