"""Sound inputs with a few faults put in: cheap to make, and most of them get far before they fail."""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable
from typing import Any

from .inputs import COLUMNS, NASTY, SETTINGS, SOUND_FILES, VALUES

__all__ = ["MUTATIONS"]

_BYTES = (
    b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"'", b",", b"\t", b"{", b"}", b"[", b"]", b":", b"- ",
    b"\\u0000", b"\\ud800", b"NaN", b"null", b"1e999", b"!!python/name:os.system", b"&a ", b"*a", b"<<: ",
)  # fmt: skip
_WORDS = ("one", "two", "three", " two ", "=2", "é", "1")
_CONFIG: dict[str, Any] = {
    "stream": {"path": "demo", "order": None, "columns": {"output": "answer"}, "train_per_task": 4, "leaks": "drop"},
    "model": {"name": "smollm2-135m", "adapter": {"kind": "lora", "r": 4, "mode": "merge"}, "precision": "fp32"},
    "replay": {"strategy": "inscl", "budget": {"per_task": 3}, "params": {"dynamic": True}, "embedder": "ngrams",
               "tagger": {"name": "llm", "params": {"model": "m", "base_url": "http://localhost:1/v1"}}},
    "training": {"epochs": 1, "learning_rate": 1e-3, "hf_args": {"weight_decay": 0.1}},
    "evaluation": {"metrics": ["exact_match"], "max_new_tokens": {"default": 4}, "base": True},
    "output_dir": "runs/x",
    "seed": 3,
    "label": "x",
}  # fmt: skip
_GRID: dict[str, Any] = {
    "run": {"stream": {"path": "demo"}},
    "strategies": ["random", {"name": "inscl", "label": "x", "params": {}, "set": {"model.adapter.mode": "fresh"}}],
    "seeds": [0, 1],
    "budgets": [{"per_task": 4}],
    "reference": "random",
}


def content(rng: random.Random, favourite: int = 0) -> bytes:
    """A sound file, most often the favourite, with up to six faults."""
    return _damaged(SOUND_FILES[favourite] if rng.random() < 0.7 else rng.choice(SOUND_FILES), rng)


def damaged_parquet(rng: random.Random) -> bytes:
    """A Parquet file with up to six faults."""
    return _damaged(_parquet(), rng)


@functools.cache
def _parquet() -> bytes:
    import pyarrow as arrow
    from pyarrow import parquet

    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pylist(tidy(random.Random(0)) * 9), sink)
    made: bytes = sink.getvalue().to_pybytes()
    return made


def _damaged(sound: bytes, rng: random.Random) -> bytes:
    made = bytearray(sound)
    for _ in range(rng.randint(0, 6)):
        place, length = rng.randint(0, len(made)), rng.randint(1, 12)
        how = rng.randrange(6)
        if how == 0 and made:
            made[place % len(made)] = rng.randrange(256)
        elif how == 1:
            del made[place : place + length]
        elif how == 2:
            made[place:place] = made[place : place + 5 * length]
        elif how == 3:
            made[place:place] = rng.choice(_BYTES) * (1 if rng.random() < 0.9 else 300)
        elif how == 4:
            made[place:place] = rng.choice(SOUND_FILES)[: 5 * length]
        elif rng.random() < 0.2:
            del made[place:]
    return bytes(made)


def rows(rng: random.Random) -> list[Any]:
    """Rows that can be learned from, some of them spoiled."""
    made = tidy(rng)
    if rng.random() < 0.4:
        splits = ("train", "test", "validation") if rng.random() < 0.8 else ("train", "test", "practice", "", "TEST")
        made = [{**row, "split": rng.choice(splits)} for row in made]
    if rng.random() < 0.3:
        made = [{**row, "task": rng.choice(("a", "b"))} for row in made]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        row = rng.choice(made)
        row[rng.choice((*row, *COLUMNS))] = _value(rng, 2)
        if rng.random() < 0.3 and len(row) > 1:
            del row[rng.choice(list(row))]
    return made


def tidy(rng: random.Random) -> list[dict[str, Any]]:
    """Rows without a fault."""
    fields = {"instruction": ("Add one", "Say it"), "input": _WORDS, "output": _WORDS}
    return [{name: rng.choice(words) for name, words in fields.items()} for _ in range(rng.randint(2, 12))]


def configuration(rng: random.Random) -> dict[Any, Any]:
    """Part of a sound configuration, with up to four faults."""
    return _spoiled(
        {key: value for key, value in _CONFIG.items() if rng.random() < 0.7}, rng, rng.choice((0, 1, 1, 2, 4))
    )


def a_grid(rng: random.Random) -> dict[Any, Any]:
    """A sound grid, with up to three faults."""
    return _spoiled(_GRID, rng, rng.randint(0, 3))


def a_section(rng: random.Random) -> dict[Any, Any]:
    """The section ``stream`` with up to three faults; its path leads nowhere, so that little is read."""
    return _spoiled({**_CONFIG["stream"], "path": ["nowhere.jsonl"]}, rng, rng.randint(0, 3))


def changes(rng: random.Random) -> list[str]:
    """Overrides of settings that there are, to values that may fit."""
    made = []
    for _ in range(rng.randint(1, 3)):
        section = rng.choice(list(_CONFIG))
        inside = _CONFIG[section]
        keys = [section, *([rng.choice((*inside, *SETTINGS))] if isinstance(inside, dict) else [])]
        made.append(f"{'.'.join(keys)}={rng.choice((*NASTY, *VALUES, '3', '0.5', '{}', '[a, b]', '!!set {a}'))}")
    return made


def words(rng: random.Random) -> str:
    """A name, or an answer of a server."""
    answers = ('[{"tag": "x", "explanation": "y"}]', "Tags: a, b", '{"tag": "x"}', "task")
    made = rng.choice((*answers, *NASTY)) + (rng.choice(NASTY) if rng.random() < 0.5 else "")
    return made.replace(rng.choice(made), chr(rng.randrange(0x11000)), 1) if made and rng.random() < 0.5 else made


def _spoiled(sound: dict[Any, Any], rng: random.Random, faults: int) -> dict[Any, Any]:
    made = copy.deepcopy(sound)
    for _ in range(faults):
        at = made
        while (inner := [value for value in at.values() if isinstance(value, dict)]) and rng.random() < 0.7:
            at = rng.choice(inner)
        key = rng.choice((*at, *SETTINGS, rng.choice(NASTY), 3))
        if rng.random() < 0.2:
            at.pop(key, None)
        else:
            at[key] = _value(rng, 2)
    return made


def _value(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(9 if depth else 6)
    if kind < 3:
        return rng.choice((*NASTY, *VALUES))
    if kind < 6:
        return rng.choice((None, True, False, 0, 1, -1, 3, 0.5, 1e-3, 1e308, 2**40, -(2**70), ""))
    if kind == 6:
        return [_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    keys = ("role", "content", "name", "params", rng.choice(COLUMNS), rng.choice(SETTINGS), rng.choice(NASTY))
    return {rng.choice(keys): _value(rng, depth - 1) for _ in range(rng.randrange(4))}


MUTATIONS: dict[str, Callable[[random.Random], Any]] = {
    "json_lines": rows,
    "json_document": rows,
    "delimited": rows,
    "parquet": rows,
    "tidy": tidy,
    "raw_lines": content,
    "raw_json": lambda rng: content(rng, rng.choice((1, 2))),
    "raw_table": lambda rng: content(rng, rng.choice((3, 4))),
    "raw_parquet": damaged_parquet,
    "raw_yaml": lambda rng: content(rng, rng.choice((5, 6))),
    "name": words,
    "config": configuration,
    "yaml_text": lambda rng: content(rng, rng.choice((5, 6))).decode("utf-8", "replace"),
    "overrides": changes,
    "grid": a_grid,
    "section": a_section,
    "llm_answer": words,
    "shown_text": words,
}
"""Target -> what makes its inputs."""
