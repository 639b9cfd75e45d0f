"""Two small tasks, a learner that is quickly taught them, and what is left of it."""

from __future__ import annotations

from pathlib import Path

from inscl.contract import Example, Task
from inscl.learners import FineTune


def task(name: str, word: str, count: int = 6) -> Task:
    train = tuple(
        Example(f"Say {word}", "please " * (1 + i % 3) + str(i), (f"{word}{i % 2}",), name) for i in range(count)
    )
    return Task(name, train, train[:2])


FIRST, SECOND = task("first", "red"), task("second", "blue", 4)


ADAPTERS = {
    "keep": {"r": 4},
    "merge": {"r": 4, "mode": "merge"},
    "fresh": {"r": 4, "mode": "fresh"},
    "osf": {"kind": "osf"},
    "full": None,
}


class Heard:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.told: list[tuple] = []

    def phase(self, name, total):
        self.told.append((name, total))

    def advance(self, done, **facts):
        self.told.append((done, *sorted(facts)))

    def note(self, message):
        self.notes.append(message)


def learner(model: Path, **settings) -> FineTune:
    settings = {"precision": "fp32", "learning_rate": 1e-2, "batch_size": 4, "seed": 3, **settings}
    return FineTune(str(model), **settings)


def saved(taught: FineTune, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    taught.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def weights(taught: FineTune) -> list:
    return [parameter.detach().clone() for parameter in taught._weights.model.parameters()]
