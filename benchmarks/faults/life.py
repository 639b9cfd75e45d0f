"""The commands of a workspace, one after another; faults strike each of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from faults.children import Ended, in_child
from faults.small_run import use_counted_learner
from faults.strikes import Bench, Outcome, hook_model
from inscl import Workspace
from inscl.doctor.verification import verify
from inscl.errors import UserError
from inscl.handover import export
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.ledger import Ledger

__all__ = ["COMMANDS", "CommandBench", "life"]

# One of the words in the stream; no other begins with it.
ERASED = b"uword42"
_SETTINGS = (
    "model.adapter.r=4",
    "model.precision=fp32",
    "replay.budget.per_task=3",
    "replay.embedder=ngrams",
    "replay.tag_embedder=null",
    "training.epochs=1",
    "training.batch_size=4",
    "training.save_every=0",
    "evaluation.max_new_tokens=4",
    "evaluation.batch_size=2",
)

Command = Callable[["CommandBench", Path], Any]


def _init(bench: CommandBench, out: Path) -> None:
    try:
        Workspace.init(out, str(bench.model), changes=_SETTINGS)
    except UserError:  # struck after it was made: what a user who repeats it is told, and sees in `inscl status`
        Workspace.open(out)


def _learn(*names: str, **wish: Any) -> Command:
    return lambda bench, out: Workspace.open(out).learn(*(bench.stream / f"{name}.jsonl" for name in names), **wish)


def _erase(bench: CommandBench, out: Path) -> None:
    Workspace.open(out).erase(match=f"^{ERASED.decode()}$")


def _export(bench: CommandBench, out: Path) -> None:
    shutil.rmtree(out / "given", ignore_errors=True)
    export(out, "jsonl", out / "given")


COMMANDS: dict[str, Command] = {
    "init": _init,
    "learn one": _learn("upper"),
    "learn two": _learn("backwards", "length"),
    "rollback": lambda bench, out: Workspace.open(out).rollback(1),
    "learn again": _learn("length", budget=2),
    "export": _export,
    "erase": _erase,
    "prune": lambda bench, out: Workspace.open(out).prune(),
}


class CommandBench(Bench):
    """One command, struck on copies of the workspace that the commands before it left.

    Attributes:
        name: Which of `COMMANDS`.
        start: The workspace before it; None if there is none yet.
    """

    def __init__(self, folder: Path, model: Path, counted: bool, name: str, start: Path | None) -> None:
        self.name, self.start = name, start
        super().__init__(folder, model, counted)

    def new(self) -> Path:
        """A copy of the workspace as the command finds it, with its cache beside it."""
        out = super().new()
        if self.start is not None:
            shutil.copytree(self.start.parent, out.parent, dirs_exist_ok=True)
        return out

    def run(self, out: Path) -> None:
        """The command, in this process."""
        os.environ["INSCL_CACHE"] = str(out.parent / "cache")
        use_counted_learner() if self.counted else hook_model()
        COMMANDS[self.name](self, out)

    def results(self, out: Path) -> dict[str, Any]:
        """What stages hold, what the ledger says happened, what the memory holds, what is damaged."""
        told = self.folder / "state.json"
        # In a process of its own: opening the memory starts threads, and one that has threads must not be forked.
        ended = in_child(lambda: told.write_text(json.dumps(_state(out))), self.folder / "log")
        state = json.loads(told.read_text()) if ended.how == "finished" else ended.text
        return {**super().results(out), "state": state}

    def gone_on(self, kind: str, what: str, out: Path, ended: Ended) -> Outcome:
        """Look at what a fault left, as a user would, then give the command again, and compare."""
        looked = in_child(lambda: _look(out), self.folder / "log")
        if looked.how != "finished" and self.start is not None:
            return Outcome(kind, what, ended.how, f"looking at it {looked.how}: {looked.text[-1500:]}")
        return super().gone_on(kind, what, out, ended)


def _look(out: Path) -> None:
    """Commands that only read: nothing that was interrupted is in their way."""
    workspace = Workspace.open(out)
    known = workspace.status().tasks
    workspace.log()
    if known:
        workspace.diff(0, len(known))
        workspace.gate(max_forgetting=100)


def _state(out: Path) -> dict[str, Any]:
    """What a workspace is, without times."""
    ledger, store = Ledger.read(out), MemoryStore(out / "memory")
    tasks = [(key, store.task(key)) for key in store.keys()]  # noqa: SIM118 - not a mapping
    files = [path for path in out.parent.rglob("*") if path.is_file()]
    return {
        "tasks": [task.name for task in ledger.tasks],
        "pending": [task.name for task in ledger.pending],
        "discarded": [[task.name for task in group.tasks] for group in ledger.discarded],
        "happened": _happened([event.what for event in ledger.history]),
        "memory": [[key, [one.to_json() for one in (*task.train, *task.test)]] for key, task in tasks],
        "damaged": [f"{one.path.name} {one.problem}" for one in verify(out)],
        "holds what is erased": any(ERASED in path.read_bytes() for path in files),
    }


def _happened(events: list[str]) -> list[str]:
    """Events; erasing that counted when it was struck is written down again when the command is given again."""
    return [event for before, event in pairwise(["", *events]) if not before == event == "erased"]


def life(folder: Path, model: Path, counted: bool = True) -> Iterator[tuple[str, CommandBench]]:
    """A bench for each command, by its name; undisturbed ones are through."""
    start: Path | None = None
    for number, name in enumerate(COMMANDS, start=1):
        bench = CommandBench(folder / f"{number}-{name.replace(' ', '-')}", model, counted, name, start)
        bench.undisturbed()
        state = bench.expected["state"]
        # What all others are compared with must itself be right.
        kept = name != "init" and "erased" not in state["happened"]
        if isinstance(state, str) or state["damaged"] or state["holds what is erased"] != kept:
            raise RuntimeError(f"the undisturbed {name} left {state}")
        yield name, bench
        start = bench.finished
