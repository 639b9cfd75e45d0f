from __future__ import annotations

import inscl.errors as errors
from inscl.errors import ConfigError, DataError, InsclError, MissingExtraError, Problem, UserError, nearest


def test_every_error_of_the_tree_is_drawn_in_its_docstring() -> None:
    for name in errors.__all__:
        found = getattr(errors, name)
        if isinstance(found, type) and issubclass(found, InsclError):
            assert name in (errors.__doc__ or "")
            assert found.exit_code == (2 if issubclass(found, UserError) else 1)


def test_messages_say_where_and_what_to_do() -> None:
    assert str(DataError("no 'output'", "a.jsonl", 7)) == "a.jsonl, line 7: no 'output'"
    assert str(DataError("empty", "a.csv")) == "a.csv: empty"
    assert "pip install 'inscl[hub]'" in str(MissingExtraError("a hub id", "hub"))
    several = ConfigError([Problem("a.b", "is bad"), Problem("c", "is worse")], "x.yaml")
    assert str(several) == "x.yaml: 2 problems\n  - a.b: is bad\n  - c: is worse"
    assert str(ConfigError("short", "x.yaml")) == "x.yaml: short"


def test_nearest() -> None:
    assert nearest("strem", ["stream", "seed"]) == " (did you mean 'stream'? there are: stream, seed)"
    assert nearest("zzz", ["stream"]) == " (there are: stream)"
    assert nearest("x", []) == " (there are: none)"
    many = [f"name{k}" for k in range(31)]
    assert nearest("nome7", many) == " (did you mean 'name7'?)"
    assert nearest("zzz", many) == ""
