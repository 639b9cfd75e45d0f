"""Faults that interrupt a run: struck once, or again and again; then the same command is given until it is through."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import inscl
from faults.children import Ended, in_child
from faults.points import Point, arm, passed
from faults.small_run import make_stream, results, settings, use_counted_learner

__all__ = ["Bench", "Outcome", "moments", "toy_model"]


@dataclass(frozen=True)
class Outcome:
    """What came of one fault.

    Attributes:
        kind: The fault's kind, for counting.
        what: The fault, in words.
        ended: How the run that it struck ended.
        lost: What differs from the undisturbed run after going on; empty if nothing does.
        note: A refusal's message, or what else is worth reading.
    """

    kind: str
    what: str
    ended: str
    lost: str = ""
    note: str = ""


@dataclass
class Bench:
    """A place for runs, the undisturbed one, and ways to strike others.

    Attributes:
        folder: Where everything goes.
        model: A folder with a model.
        counted: Learn with `Counted` instead of the model.
        training: More settings of ``training``.
    """

    folder: Path
    model: Path
    counted: bool = True
    training: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stream = make_stream(self.folder / "stream")
        self.expected: dict[str, Any] = {}
        self.points: dict[str, int] = {}
        self.seconds = 0.0
        self._number = 0

    def undisturbed(self) -> None:
        """Run once without a fault: what all others must end as, and how many points there are."""
        out, told = self.new(), self.folder / "points"

        def work() -> None:
            arm(None)
            self.run(out)
            counts = f"{passed()['files']} {passed()['work']}"
            told.write_text(" ".join([counts, *sys.modules]))

        ended = in_child(work, self.folder / "log")
        if ended.how != "finished":
            raise RuntimeError(f"the undisturbed run {ended.how}: {ended.text}")
        files, steps, *modules = told.read_text().split()
        preload(modules)
        self.points = {"files": int(files), "work": int(steps)}
        self.expected = self.results(out)
        self.finished = out
        # With everything imported: how long a run that is struck would take, and whether two are the same at all.
        second = self.new()
        self.seconds = self.again(second).seconds
        if difference := self.compare(second):
            raise RuntimeError(f"two undisturbed runs differ: {difference}")
        self.drop(second)

    def strike(self, point: Point) -> Outcome:
        """Strike a run at a point, give the same command again, and compare."""
        out = self.new()

        def work() -> None:
            arm(point)
            self.run(out)

        ended = in_child(work, self.folder / "log")
        return self.gone_on(point.kind, f"{point.kind} at {point.where} {point.number}", out, ended)

    def kill_at(self, seconds: list[float]) -> Outcome:
        """Kill a run after so many seconds, then the one that goes on from it, and so on."""
        out = self.new()
        for moment in seconds:
            ended = in_child(lambda: self.run(out), self.folder / "log", kill_after=moment)
            if ended.how == "defect":
                break
        what = "kill after " + ", ".join(f"{moment:.3f}" for moment in seconds) + " s"
        return self.gone_on("kill at random", what, out, ended)

    def again(self, out: Path) -> Ended:
        """Give the command for a folder again."""
        return in_child(lambda: self.run(out), self.folder / "log")

    def results(self, out: Path) -> dict[str, Any]:
        """What two runs of the same have in common."""
        return results(out)

    def compare(self, out: Path) -> str:
        """What differs from the undisturbed run; empty if nothing does."""
        found = self.results(out)
        missing = sorted(set(self.expected) - set(found))
        extra = sorted(set(found) - set(self.expected))
        other = sorted(name for name in set(found) & set(self.expected) if found[name] != self.expected[name])
        parts = (("missing", missing), ("extra", extra), ("different", other))
        return "; ".join(f"{what} {', '.join(names[:4])}" for what, names in parts if names)

    def copy(self, source: Path) -> Path:
        """A copy of a run's folder, to be damaged."""
        out = self.new()
        shutil.copytree(source, out)
        return out

    def drop(self, out: Path) -> None:
        """Remove a folder that has served."""
        shutil.rmtree(out.parent, ignore_errors=True)

    def gone_on(self, kind: str, what: str, out: Path, ended: Ended) -> Outcome:
        """Give the command again for a run that a fault ended, and compare."""
        if ended.how == "defect":
            return Outcome(kind, what, ended.how, "a traceback instead of a message", ended.text[-1500:])
        note = ended.text if ended.how == "refused" else ""
        resumed = self.again(out)
        if resumed.how != "finished":
            return Outcome(kind, what, ended.how, f"going on {resumed.how}: {resumed.text[-1500:]}", note)
        lost = self.compare(out)
        if not lost:
            self.drop(out)
        return Outcome(kind, what, ended.how, lost, note)

    def new(self) -> Path:
        """A folder that isn't there yet, with a cache of its own beside it."""
        self._number += 1
        place = self.folder / f"{self._number:05d}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place / "run"

    def run(self, out: Path) -> None:
        """The command itself, in this process."""
        os.environ["INSCL_CACHE"] = str(out.parent / "cache")
        use_counted_learner() if self.counted else hook_model()
        inscl.run(settings(self.stream, out, self.model, **self.training))


def preload(modules: list[str]) -> None:
    """Import what a run imports, so that a forked one needn't. None of it starts threads before it is used."""
    for name in modules:
        if name != "__main__":
            with contextlib.suppress(ImportError, AttributeError):
                importlib.import_module(name)


def toy_model(folder: Path) -> Path:
    """What passes for a model where nobody loads it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(64))
    return folder


def hook_model() -> None:
    """Have a real model's steps and batches counted."""
    from faults.points import tick
    from inscl.models import decoding
    from inscl.models.objectives.training_loss import TrainingLoss

    real_batch, real_loss = decoding._decode, TrainingLoss.__call__

    def batch(*arguments: Any, **keywords: Any) -> Any:
        tick("work")
        return real_batch(*arguments, **keywords)

    def loss(self: Any, *arguments: Any, **keywords: Any) -> Any:
        tick("work")
        return real_loss(self, *arguments, **keywords)

    decoding._decode, TrainingLoss.__call__ = batch, loss  # type: ignore[method-assign]


def moments(count: int, longest: float, seed: int = 0) -> Iterator[list[float]]:
    """Lists of one to three moments, uniform over a run's length."""
    chance = random.Random(seed)
    for _ in range(count):
        yield [chance.uniform(0, longest) for _ in range(chance.choice((1, 1, 2, 3)))]
