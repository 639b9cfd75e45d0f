"""The run that faults strike: three small tasks, and either a learner of a few lines or a real model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faults.points import tick
from inscl.config.loading import load_config
from inscl.contract import Answer, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.contract.traits import LearnerTraits
from inscl.engine.parts import Parts
from inscl.storage.files.integrity import content_digest, seal, sealed_value
from inscl.storage.run.progress import Answers

__all__ = ["Counted", "make_stream", "results", "settings", "use_counted_learner"]

TASKS: dict[str, Callable[[str], str]] = {
    "upper": str.upper,
    "backwards": lambda s: s[::-1],
    "length": lambda s: str(len(s)),
}
# What a run is for. Times and dates are none of it.
RESULTS = (
    "plan.json",
    "replay.jsonl",
    "scores.json",
    "metrics.json",
    "predictions/*.jsonl",
    "model/*",
    "train_log.jsonl",
    "learn.json",
    "progress/*.json",
)


def make_stream(folder: Path, rows: int = 10) -> Path:
    """Three tasks, a JSONL file each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, answer in TASKS.items():
        lines = []
        for k in range(rows):
            word = f"{name[0]}word{k * 7 % 100}"
            instruction = f"{('Do', 'Please do', 'Kindly do')[k % 3]} the {name} job."
            lines.append(json.dumps({"instruction": instruction, "input": word, "output": answer(word)}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def settings(stream: Path, out: Path, model: Path | str = "smollm2-135m", **training: Any) -> Any:
    """The run's configuration: every kind of record that there is."""
    return load_config(
        {
            "stream": {"path": str(stream), "order": ["upper", "backwards", "length"], "test_share": 0.3},
            "model": {"name": str(model), "adapter": {"r": 4}, "precision": "fp32"},
            "replay": {"budget": {"per_task": 3}, "embedder": "ngrams", "tag_embedder": None},
            "training": {"epochs": 1, "batch_size": 4, "save_every": 0, **training},
            "evaluation": {"max_new_tokens": 4, "batch_size": 2, "base": True, "experts": True},
            "output_dir": str(out),
        }
    )


def results(folder: Path) -> dict[str, Any]:
    """All that two runs of the same have in common, and nothing of what was only kept on the way: name -> content."""
    found: dict[str, Any] = {}
    for pattern in RESULTS:
        for path in folder.rglob(pattern):
            name = path.relative_to(folder).as_posix()
            found[name] = path.read_bytes()
            if path.name in ("learn.json", "train_log.jsonl"):
                found[name] = _without_times(found[name])
    return found


def _without_times(content: bytes) -> Any:
    """The records in a file without their seconds; a damaged file as it is."""
    parts = [content] if content.lstrip().startswith(b"{\n") else content.splitlines()
    try:
        return [{key: value for key, value in json.loads(part).items() if key != "seconds"} for part in parts]
    except (ValueError, AttributeError):
        return content


class Counted:
    """A learner whose state is a digest of all that it was taught, in order: whatever is lost, repeated or mixed up
    shows in every answer. It keeps its progress as a model's training does, after every step.
    """

    traits = LearnerTraits(saves=True, resumes=True, logs=True)
    progress_dir: Path | None = None

    def __init__(self, seed: int = 0) -> None:
        self.state, self.stage, self.log = str(seed), 0, []

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Take in the examples, four a step."""
        replay = plan.examples
        examples = [*task.train, *replay]
        batches = [examples[start : start + 4] for start in range(0, len(examples), 4)]
        key = content_digest([self.state, [example.to_json() for example in examples]])
        state, self.log, first = self.state, [], 0
        if (kept := self._kept()) is not None and kept["key"] == key:
            state, self.log, first = kept["state"], kept["log"], kept["step"]
        for step, batch in enumerate(batches[first:], start=first + 1):
            tick("work")
            state = content_digest([state, [example.to_json() for example in batch]])
            self.log.append({"step": step, "loss": int(state[:8], 16) / 2**32})
            self._keep({"key": key, "state": state, "log": self.log, "step": step})
        self.state, self.stage = state, self.stage + 1
        losses = sum(row["loss"] for row in self.log)
        return LearnReport(len(batches), len(task.train), len(replay), 1, 1, 0, 0.0, losses)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """A letter or two for each question, two questions a batch."""
        prompts = [question.prompt for question in questions]
        folder = None if self.progress_dir is None else self.progress_dir / "answers"
        answers = Answers(folder, [self.state, list(prompts), max_new_tokens])
        known, found = answers.read(), []
        for start in range(0, len(prompts), 2):
            batch = known.get(str(start))
            if batch is None:
                tick("work")
                batch = [self._answer(prompt) for prompt in prompts[start : start + 2]]
                answers.keep(str(start), batch)
            found += batch
        return [Answer(text) for text in found]

    def save(self, folder: Path) -> None:
        """As libraries write weights: straight into the folder."""
        (folder / "state.json").write_text(json.dumps({"state": self.state, "stage": self.stage}))
        (folder / "more.bin").write_bytes(self.state.encode() * 20)

    def load(self, folder: Path) -> None:
        """Read it back."""
        kept = json.loads((folder / "state.json").read_text())
        self.state, self.stage = kept["state"], kept["stage"]

    def _answer(self, prompt: str) -> str:
        word = prompt.split()[-1]
        choice = hashlib.sha256(f"{self.state} {prompt}".encode()).digest()[0] % 3
        return (word.upper(), word[::-1], str(len(word)))[choice]

    def _kept(self) -> Any:
        try:
            return sealed_value(json.loads(((self.progress_dir or Path()) / "training" / "state.json").read_bytes()))
        except (OSError, ValueError):
            return None

    def _keep(self, value: dict[str, Any]) -> None:
        if self.progress_dir is None:
            return
        path = self.progress_dir / "training" / "state.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(seal(value)))  # as libraries do; what is torn has no whole seal


def use_counted_learner() -> None:
    """Have every run of this process learn with `Counted`."""
    Parts.new_learner = lambda self: Counted(self.config.seed)  # type: ignore[method-assign]
