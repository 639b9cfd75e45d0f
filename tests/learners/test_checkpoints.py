"""A training that is interrupted anywhere and begun again ends as one that wasn't."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asking import replaying, said
from inscl.contract import Example, Task
from inscl.errors import ModelError
from inscl.learners import FineTune

TASK = Task("colour", tuple(Example(f"Say {w}", "please " * (k % 4), (f"{w}{k}",)) for k, w in enumerate("abcdefghij")))
REPLAY = tuple(Example("Say it", "again " * k, (f"old{k}",)) for k in range(4))
# 14 examples, 4 a batch, 2 epochs: 4 steps an epoch, 8 in all.
STEPS = 8


class Killed(BaseException):
    """Nothing catches it by accident."""


class Heard:
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def phase(self, name: str, total: int) -> None:
        pass

    def advance(self, done: int, **facts: Any) -> None:
        pass


def learner(model: Path, **settings: Any) -> FineTune:
    settings = {"precision": "fp32", "learning_rate": 1e-2, "batch_size": 4, "seed": 3, "save_every": 0, **settings}
    settings.setdefault("adapter", {"r": 4, "dropout": 0.2})
    return FineTune(str(model), **settings)


def killing(after: int) -> Any:
    """A callback that ends the process, as it were, when the step after `after` steps is computed."""
    from transformers import TrainerCallback

    class Kill(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step >= after:
                raise Killed

    return Kill()


def interrupted(model: Path, folder: Path, after: int, **settings: Any) -> None:
    one = learner(model, callbacks=[killing(after)], **settings)
    one.progress_dir = folder
    with pytest.raises(Killed):
        one.learn(TASK, replaying(REPLAY))


def outcome(one: FineTune, folder: Path) -> tuple[Any, ...]:
    """All that a stage leaves, but times."""
    report = one.learn(TASK, replaying(REPLAY))
    folder.mkdir()
    one.save(folder)
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in one.log]
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return files, rows, replace(report, seconds=0.0)


CASES: dict[str, dict[str, Any]] = {
    "packed": {},
    "padded": {"batching": "random"},
    "by length": {"batching": "length"},
    "bf16": {"precision": "bf16"},
    "merged": {"adapter": {"r": 4, "mode": "merge"}},
    "fresh": {"adapter": {"r": 4, "mode": "fresh"}},
    "osf": {"adapter": {"kind": "osf"}},
    "every weight": {"adapter": None},
    "accumulated": {"hf_args": {"gradient_accumulation_steps": 2}},
    "part of an epoch": {"epochs": 1.5},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_interrupted_and_begun_again_it_ends_with_the_same_bytes(
    tiny_model: Path, tmp_path: Path, case: dict[str, Any]
) -> None:
    steps = {"accumulated": 4, "part of an epoch": 6}
    expected = outcome(
        learner(tiny_model, epochs=2, **case) if "epochs" not in case else learner(tiny_model, **case),
        tmp_path / "undisturbed",
    )
    total = len(expected[1])
    assert total == next((n for name, n in steps.items() if CASES[name] is case), STEPS)
    settings = {"epochs": 2, **case}
    # In the middle of an epoch, at its end, and at the last step.
    for after in sorted({1, total // 2, total - 1}):
        folder = tmp_path / f"killed-{after}"
        interrupted(tiny_model, folder, after, **settings)
        heard = Heard()
        resumed = learner(tiny_model, progress=heard, **settings)
        resumed.progress_dir = folder
        assert outcome(resumed, tmp_path / f"resumed-{after}") == expected
        assert any(f"after step {after} " in note for note in heard.notes)


def test_interrupted_again_and_again(tiny_model: Path, tmp_path: Path) -> None:
    expected = outcome(learner(tiny_model), tmp_path / "undisturbed")
    for after in (2, 3, 5, 7):
        interrupted(tiny_model, tmp_path / "progress", after)
    resumed = learner(tiny_model)
    resumed.progress_dir = tmp_path / "progress"
    assert outcome(resumed, tmp_path / "resumed") == expected


def test_two_checkpoints_stay_and_a_damaged_one_is_told_and_passed_over(tiny_model: Path, tmp_path: Path) -> None:
    expected = outcome(learner(tiny_model), tmp_path / "undisturbed")
    names = {path.name for path in (tmp_path / "undisturbed").iterdir()}
    interrupted(tiny_model, tmp_path / "progress", 5)
    checkpoints = tmp_path / "progress" / "training"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["checkpoint-4", "checkpoint-5"]
    assert not list(checkpoints.rglob("training_args.bin"))
    assert names >= {"adapter_model.safetensors"}
    newest = checkpoints / "checkpoint-5" / "optimizer.pt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    heard = Heard()
    resumed = learner(tiny_model, progress=heard)
    resumed.progress_dir = tmp_path / "progress"
    assert outcome(resumed, tmp_path / "resumed") == expected
    assert any("damaged" in note for note in heard.notes)
    assert any("after step 4 " in note for note in heard.notes)


@pytest.mark.parametrize("change", [{"seed": 4}, {"learning_rate": 1e-3}, {"hf_args": {"weight_decay": 0.1}}])
def test_a_checkpoint_of_another_training_is_not_used(tiny_model: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    interrupted(tiny_model, tmp_path / "progress", 5)
    heard = Heard()
    other = learner(tiny_model, progress=heard, **change)
    other.progress_dir = tmp_path / "progress"
    assert outcome(other, tmp_path / "other") == outcome(learner(tiny_model, **change), tmp_path / "undisturbed")
    assert heard.notes == []


def test_a_stage_after_another_starts_from_nothing(tiny_model: Path, tmp_path: Path) -> None:
    """The same task again is another stage: the first one's checkpoints aren't its own."""
    straight, kept = learner(tiny_model), learner(tiny_model)
    kept.progress_dir = tmp_path / "progress"
    for one in (straight, kept):
        one.learn(TASK, replaying(REPLAY))
    assert outcome(kept, tmp_path / "a") == outcome(straight, tmp_path / "b")


def test_seconds_pass_before_a_checkpoint_and_none_is_made_without_a_folder(tiny_model: Path, tmp_path: Path) -> None:
    for every in (3600, None):
        one = learner(tiny_model, save_every=every)
        one.progress_dir = tmp_path / "progress"
        one.learn(TASK, replaying(REPLAY))
        assert not list(tmp_path.rglob("checkpoint-*"))


def test_a_folder_that_cant_be_written_stops_no_training(tiny_model: Path, tmp_path: Path) -> None:
    expected = outcome(learner(tiny_model), tmp_path / "undisturbed")
    (tmp_path / "progress").write_text("a file, not a folder")
    heard = Heard()
    one = learner(tiny_model, progress=heard)
    one.progress_dir = tmp_path / "progress"
    assert outcome(one, tmp_path / "kept") == expected
    assert len([note for note in heard.notes if "can't keep" in note]) == 1


def test_answers_that_were_given_are_not_asked_again(tiny_model: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from inscl.models import decoding as generation

    prompts = [f"{k} " + "very " * (k % 9) for k in range(30)]
    expected = said(learner(tiny_model, generation_batch_size=3), prompts, 6)
    real, asked = generation._decode, []

    def batch(prompts: Any, *rest: Any) -> Any:
        if len(asked) == 2:
            raise Killed
        asked.append(len(prompts))
        return real(prompts, *rest)

    one = learner(tiny_model, generation_batch_size=3)
    one.progress_dir = tmp_path
    with monkeypatch.context() as patch:
        patch.setattr(generation, "_decode", batch)
        with pytest.raises(Killed):
            said(one, prompts, 6)
    again = learner(tiny_model, generation_batch_size=3)
    again.progress_dir = tmp_path
    monkeypatch.setattr(
        generation, "_decode", lambda prompts, *rest: asked.append(len(prompts)) or real(prompts, *rest)
    )
    assert said(again, prompts, 6) == expected
    assert asked == [12, 12, 6]
    # Once it has learned, it is asked anew.
    again.learn(TASK, replaying(REPLAY))
    del asked[:]
    said(again, prompts, 6)
    assert asked == [12, 12, 6]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 bytes")]
)
def test_no_memory_is_said_with_what_to_do(tiny_model: Path, error: Exception) -> None:
    from transformers import TrainerCallback

    class Full(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            raise error

    with pytest.raises(ModelError, match=r"out of memory while training.*batch_size"):
        learner(tiny_model, callbacks=[Full()]).learn(TASK, replaying(REPLAY))
