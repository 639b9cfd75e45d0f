"""The first stage of a run taken from another one that differs in its replay alone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import Any, cast

from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Persistent
from inscl.contract.traits import LearnerTraits, StrategyTraits, traits_of
from inscl.engine.open_run import OpenRun
from inscl.engine.plan import NOTED, NOTED_FILES, VISITS
from inscl.engine.stage import Stage
from inscl.storage.files.sealed_files import read_sealed_json
from inscl.storage.run.stage_record import Record

__all__ = ["CopiedStage", "copyable_stage"]

_OWN = ("plan.json", "replay.jsonl", "rejected.jsonl", "seconds.json", "costs.json", NOTED)
"""What a stage records of itself even where another one's training is copied."""


def copyable_stage(source: OpenRun, target: OpenRun) -> Record | None:
    """The first stage of `source`, if that of `target` would come out the same: nothing can be replayed yet.

    Settings other than replay's, the stream, the model and plugins must be equal, and the weights kept; so must the
    losses of its examples, if the strategy reads those.
    """
    if not source.folder.tasks:
        return None  # a workspace that has learned nothing
    first = source.folder.stage(1)
    same = (
        first.done
        and first.keeps_model
        and _beside_replay(source) == _beside_replay(target)
        and source.stream.fingerprint == target.stream.fingerprint
        and read_sealed_json(source.path / "manifest.json")["model"]["fingerprint"] == target.model
        and traits_of(target.parts.taught, LearnerTraits).saves
        and not first.read("plan.json")["picks"]
        and (first.has(VISITS) or not traits_of(target.parts.strategy, StrategyTraits).uses_visits)
    )
    return first if same else None


def _beside_replay(opened: OpenRun) -> Any:
    settings, plugins = opened.parts.identity
    return {key: value for key, value in settings.items() if key != "replay"}, plugins


@dataclass
class CopiedStage(Stage):
    """A stage whose training and scores are copied; it makes a plan of its own, which must replay nothing.

    Attributes:
        source: The recorded stage.
    """

    source: Record = field(kw_only=True)
    _copied: dict[str, int | None] | None = field(default=None, init=False)

    def learn(self, plan: ReplayPlan) -> None:
        """Take over what the other run learned, or learn where this plan does replay something."""
        if plan.picks:
            super().learn(plan)
            return
        for name in self.source.files:
            if name not in _OWN and not name.startswith(f"{NOTED_FILES}/"):
                self.source.check(name)
                target = self.record.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.source.path / name, target)
        cast(Persistent, self.parts.taught).load(self.record.model)
        # The cost of learning this stage is that of the run which learned it.
        self._copied, seconds = self.source.read("costs.json"), self.source.read("seconds.json")
        self._seconds.update({what: took for what, took in seconds.items() if what != "plan"})

    def evaluate(self) -> None:
        """Score the learner, unless its scores were copied."""
        if self._copied is None:
            super().evaluate()

    def _costs(self) -> dict[str, int | None]:
        return super()._costs() if self._copied is None else self._copied
