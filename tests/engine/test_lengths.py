from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl.config.loading import load_config
from inscl.contract.example import Turn
from inscl.engine.lengths import check_lengths
from inscl.engine.parts import Parts
from inscl.engine.plan import stream_of
from inscl.errors import DataError
from inscl.evaluation.rows import positions
from inscl.learners import FineTune
from streams import toy_config, toy_stream

LONG = "y" * 300


def config(folder: Path, model: Path, split: str, options: int = 0, **evaluation: Any) -> dict[str, Any]:
    """A run whose last task has one answer, or option, of 301 tokens in `split`."""
    stream = toy_stream(folder / "stream")
    (stream / "length.jsonl").unlink()
    choices = {"options": ["a", "b", *[LONG] * options]} if options else {}
    for name in ("train", "test"):
        rows = [{"instruction": "How?", "input": f"{name} {k}", "output": "a", **choices} for k in range(6)]
        if name == split and not options:
            rows[1]["output"] = LONG
        file = stream / "length" / f"{name}.jsonl"
        file.parent.mkdir(exist_ok=True)
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = toy_config(stream, model, folder / "run")
    found["evaluation"] = {"max_new_tokens": 4, **evaluation}
    return {**found, "training": {"epochs": 1, "max_length": 320}}


def checked(settings: dict[str, Any]) -> None:
    loaded = load_config(settings)
    check_lengths(Parts.of(loaded), stream_of(loaded))


def test_a_late_answer_that_is_too_long_is_refused_before_anything_is_written(tmp_path: Path, tiny_model: Path) -> None:
    settings = config(tmp_path, tiny_model, "train")
    said = (
        r"train\.jsonl:2, 'y{40}'\.\.\.\) and the model's template have 320 tokens, too many for max_length 320; raise"
    )
    with pytest.raises(DataError, match=said):
        inscl.run(settings)
    assert not (tmp_path / "run").exists()
    checked({**settings, "training": {"max_length": 321}})


def test_test_answers_count_where_their_likelihood_is_asked(tmp_path: Path, tiny_model: Path) -> None:
    settings = config(tmp_path, tiny_model, "test")
    checked(settings)
    likelihood = {"metrics": ["rouge_l", "answer_loss"]}
    with pytest.raises(DataError, match=r"test\.jsonl:2"):
        checked({**settings, "evaluation": likelihood})
    for learner in ("icl", "rtd"):
        checked({**settings, "training": {"learner": learner, "max_length": 320}, "replay": {"strategy": "none"}})
    # A limit asks a fixed sample, which may hold the row or not.
    task = stream_of(load_config(settings)).tasks[-1]
    place = next(k for k, example in enumerate(task.test) if example.output == LONG)
    held = {count: place in positions(task, count, "likelihood") for count in range(1, 6)}
    assert set(held.values()) == {True, False}
    for count, holds in held.items():
        limited = {**settings, "evaluation": {**likelihood, "test_examples": {"likelihood": count}}}
        with pytest.raises(DataError) if holds else nullcontext():
            checked(limited)


def test_options_count_where_they_are_chosen_from(tmp_path: Path, tiny_model: Path) -> None:
    settings = config(tmp_path, tiny_model, "test", options=1)
    checked(settings)
    with pytest.raises(DataError, match="too many for max_length 320"):
        checked({**settings, "evaluation": {"metrics": ["choice_accuracy"]}})


def test_a_conversation_counts_with_the_frame_that_it_keeps(tmp_path: Path, tiny_model: Path) -> None:
    """A template may be longer with a system's turn, as here, or shorter, where it has a default one."""
    settings = config(tmp_path, tiny_model, "train")
    talk = [{"role": role, "content": "hi " * 300} for role in ("system", "user", "assistant", "user")]
    file = tmp_path / "stream" / "length" / "train.jsonl"
    file.write_text(json.dumps({"messages": [*talk, {"role": "assistant", "content": LONG}]}) + "\n")
    frame = FineTune(str(tiny_model)).encoder.least((Turn("system", ""), Turn("user", "")))
    assert frame > 20
    with pytest.raises(DataError, match=rf"have {frame + 301} tokens, too many for max_length {frame + 301}"):
        checked({**settings, "training": {"max_length": frame + 301}})
    checked({**settings, "training": {"max_length": frame + 302}})
