from __future__ import annotations

import functools
import sys
from importlib.metadata import Distribution, EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from inscl.config import kinds
from inscl.config.settings import RunConfig
from inscl.contract.traits import LearnerTraits
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


class Confused:
    """A measure whose author took the traits of another kind."""

    traits = LearnerTraits()


class Unmarked:
    """A measure whose author forgot the traits."""


@pytest.mark.parametrize(
    ("name", "said"), [("Confused", "must be a MeasureTraits"), ("Unmarked", "needs the attribut")]
)
def test_a_component_with_wrong_traits_is_refused_when_it_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    entry = EntryPoint("theirs", f"theirs:{name}", "inscl.measures")
    monkeypatch.setitem(sys.modules, "theirs", sys.modules[__name__])
    monkeypatch.setattr(kinds, "entry_points", lambda group: [entry] if group == "inscl.measures" else [])
    with pytest.raises(ConfigError, match=f"the measure 'theirs' can't be used: .*{said}"):
        kinds.load("measures", "theirs")
    assert [(one.name, said in one.reason) for one in kinds.broken()] == [("theirs", True)]


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


def swallowing(size: int = 1, **more: Any) -> dict[str, Any]:
    return {"size": size, **more}


def named(colour: str = "red", size: int = 1) -> dict[str, Any]:
    return {"colour": colour, "size": size}


@functools.wraps(named)
def wrapping(*args: Any, **more: Any) -> Any:
    return named(*args, **more)


def declaring(size: int = 1, **more: Any) -> dict[str, Any]:
    return {"size": size, **more}


declaring.more_parameters = lambda: {"weight"}  # type: ignore[attr-defined]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions above as objectives that a package brings."""
    names = ("swallowing", "wrapping", "declaring")
    monkeypatch.setitem(sys.modules, "theirs", sys.modules[__name__])
    entries = [EntryPoint(name, f"theirs:{name}", "inscl.objectives") for name in names]
    monkeypatch.setattr(kinds, "entry_points", lambda group: entries if group == "inscl.objectives" else [])


@pytest.mark.usefixtures("registered")
def test_a_component_that_takes_any_keyword_is_refused_and_its_author_told() -> None:
    with pytest.raises(ConfigError, match=r"swallowing takes any keyword.*its author must name its parameters"):
        kinds.create("objectives", "swallowing", {"size": 2})
    assert [(one.name, "takes any keyword" in one.reason) for one in kinds.broken()] == [("swallowing", True)]


@pytest.mark.usefixtures("registered")
def test_a_factory_around_another_is_checked_against_that_one() -> None:
    assert kinds.create("objectives", "wrapping", {"colour": "blue"}) == {"colour": "blue", "size": 1}
    with pytest.raises(ConfigError, match="did you mean 'colour'"):
        kinds.create("objectives", "wrapping", {"color": "blue"})


@pytest.mark.usefixtures("registered")
def test_keywords_beyond_the_signature_may_be_declared() -> None:
    assert kinds.create("objectives", "declaring", {"weight": 2}) == {"size": 1, "weight": 2}
    with pytest.raises(ConfigError, match="did you mean 'weight'"):
        kinds.create("objectives", "declaring", {"weigth": 2})


def test_the_table_names_keys_of_configurations_and_groups_of_entry_points() -> None:
    for kind in kinds.KINDS.values():
        for key in (*kind.keys, *([kind.params] if kind.params else [])):
            section, field = key.split(".")
            assert field in type(getattr(RunConfig(), section)).model_fields, key
    declared = {group for group in entry_points().groups if group.startswith("inscl.")}
    assert declared == {kind.group for kind in kinds.KINDS.values()}


def test_the_guide_shows_the_table() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    for kind in kinds.KINDS.values():
        keys = ", ".join(f"`{key}`" for key in kind.keys)
        assert f"| `{kind.group}` | `{kind.protocol.__name__}` | {keys} |" in guide
