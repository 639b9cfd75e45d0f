from __future__ import annotations

from importlib.metadata import Distribution, EntryPoint
from typing import Any

import pytest

from inscl.config import kinds
from inscl.errors import ConfigError, UnknownComponentError
from inscl.replay.inscl import InsCL


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_every_built_in_loads_and_has_a_line(kind: str) -> None:
    for name, line in kinds.available(kind).items():
        assert callable(kinds.load(kind, name))
        assert len(line) > 10
        assert "broken" not in line


def test_the_built_ins_are_there() -> None:
    assert {"none", "random", "inscl"} <= set(kinds.available("strategies"))
    assert "fine_tune" in kinds.available("learners")
    assert {"model", "sentence", "minilm", "ngrams"} <= set(kinds.available("embedders"))
    assert {"keyphrases", "llm"} <= set(kinds.available("taggers"))
    assert {"rouge_l", "exact_match", "token_f1"} <= set(kinds.available("scorers"))


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(UnknownComponentError, match="did you mean 'random'"):
        kinds.load("strategies", "randm")


def test_parameters_and_injection() -> None:
    strategy = kinds.create("strategies", "inscl", {"p": 2}, embedder=len, nonsense=1)
    assert isinstance(strategy, InsCL)
    assert strategy.p == 2
    assert strategy.embedder is len
    with pytest.raises(ConfigError, match="did you mean 'dynamic'"):
        kinds.create("strategies", "inscl", {"dynamik": 1})


def test_a_required_parameter_is_told() -> None:
    def factory(url: str, size: int = 1) -> None: ...

    assert [p.key for p in kinds.parameter_problems(factory, {"sise": 2})] == ["sise", "url"]


def test_a_broken_component_is_named_and_hurts_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("bad", "no_such_module_at_all:X", "inscl.strategies")
    monkeypatch.setattr(kinds, "entry_points", lambda group: [entry] if group == "inscl.strategies" else [])
    assert kinds.available("strategies")["bad"].startswith("broken: ModuleNotFoundError")
    assert [(b.kind, b.name) for b in kinds.broken()] == [("strategies", "bad")]
    with pytest.raises(ConfigError, match="can't be imported"):
        kinds.load("strategies", "bad")


def test_what_another_package_brings_is_known_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Distribution):
        def read_text(self, filename: str) -> str | None:
            return "Name: other\nVersion: 1.2\n" if filename == "METADATA" else None

        def locate_file(self, path: object) -> Any:
            raise NotImplementedError

    for kind in kinds.KINDS:
        assert [name for name in kinds.available(kind) if kinds.foreign(kind, name)] == []
    entry = EntryPoint("theirs", "other:Theirs", "inscl.strategies")
    vars(entry).update(dist=Other())
    monkeypatch.setattr(kinds, "_entries", lambda kind: {"theirs": entry})
    assert kinds.foreign("strategies", "theirs") == "other 1.2"
    assert kinds.foreign("strategies", "nowhere") is None
