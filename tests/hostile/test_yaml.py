"""YAML that makes objects, grows without end, says a thing twice, or is nested without need."""

from __future__ import annotations

from pathlib import Path

import pytest

from inscl.config.loading import load_config, read_yaml
from inscl.data import load_stream
from inscl.data.yaml_values import LARGEST_TEXT, YamlProblem, dump_yaml, parse_yaml
from inscl.errors import ConfigError, DataError

LAUGHS = "a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "\n".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
REFUSED = {
    "!!python/object/apply:os.system ['touch owned']": "!!python/object/apply:os.system",
    "!!python/name:os.system": "is not allowed",
    "x: !!python/object/new:os.system [ls]": "only plain values",
    "x: !mine {a: 1}": "the tag '!mine' is not allowed",
    "x: !!binary aGk=": "is not allowed",
    "x: !!set {a}": "is not allowed",
    LAUGHS: "aliases repeat too much",
    MERGES: "aliases repeat too much",
    "x: &x [*x]": "inside of what it repeats",
    "x: &x {y: *x}": "inside of what it repeats",
    "x: &x {? *x : 1}": "inside of what it repeats",
    "x: 1\nx: 2": "'x' stands twice",
    "x: {y: 1, y: 2}": "'y' stands twice",
    "x: " + "[" * 200 + "]" * 200: "nested too deeply",
    "[" * 100_000: "nested too deeply",
    "x: 0x" + "f" * 5000: "more than 64 bits",
    "x: " + "9" * 5000: "can't be read",
    "x: .inf": "not finite",
    "x: 1e999": "not finite",
    "x: !!int ''": "can't be read",
    "x: !!bool maybe": "can't be read",
    "x: " + "1:" * 400 + "1.5": "can't be read",
    "#" + "x" * LARGEST_TEXT: "at most 2,000,000 are read",
}


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_it_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(YamlProblem) as caught:
        parse_yaml(text)
    assert REFUSED[text] in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['touch owned']", LAUGHS, "x: &x [*x]"])
def test_every_file_of_ours_is_read_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.yaml"
    path.write_text(text, encoding="utf-8")
    for read, kind in ((load_config, ConfigError), (read_yaml, ConfigError), (load_stream, DataError)):
        with pytest.raises(kind, match=r"hostile\.yaml.*(not allowed|too much|inside of)"):
            read(path)
    with pytest.raises(ConfigError, match=r"label.*(not allowed|too much|inside of|not valid)"):
        load_config({}, [f"label={text}"])
    assert [file.name for file in tmp_path.iterdir()] == ["hostile.yaml"]


def test_plain_values_are_read_as_they_stand() -> None:
    text = "a: 1e-3\nb: 2024-01-31\nc: =\nd: [1, 0x1f, true, null, 1.5]\ne: {<<: {x: 1}, y: 2}\nf: &f [1]\ng: *f"
    assert parse_yaml(text) == {
        "a": 1e-3, "b": "2024-01-31", "c": "=", "d": [1, 31, True, None, 1.5],
        "e": {"x": 1, "y": 2}, "f": [1], "g": [1],
    }  # fmt: skip


def test_a_device_that_never_ends_is_not_read_for_ever() -> None:
    with pytest.raises(ConfigError, match="at most"):
        read_yaml(Path("/dev/zero"))


def test_what_is_written_is_read_as_the_same() -> None:
    values = {
        "a": ["1e3", "1.5", "2024-01-31", "=", "yes", "null", "0x1f", "<<", "é", "a: b", "!x", 1e3, 1, None, True]
    }
    assert parse_yaml(dump_yaml(values)) == values
