"""What a run still has to learn: the stages of its stream that are not recorded yet, with one learner for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from inscl.contract import Memory, Task
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.data.splits import sample
from inscl.engine.first_stage import CopiedStage, copyable_stage
from inscl.engine.open_run import OpenRun
from inscl.engine.plan import with_past
from inscl.engine.resume import resume
from inscl.engine.stage import Stage
from inscl.storage.run.run_folder import memory_key

__all__ = ["RunStages"]


class RunStages:
    """The stages of a run for `inscl.pipeline.learn_stages`; ``DONE`` makes each of them count.

    Args:
        opened: The run.
        beside: A run that differs in its replay alone, whose first stage is copied; None learns it.
    """

    def __init__(self, opened: OpenRun, beside: OpenRun | None = None) -> None:
        self.opened, self.beside = opened, beside
        self._memory = Memory()
        # Learned tasks of whose instructions not all vectors and tags were made yet.
        self._unknown: list[Task] = []

    def __iter__(self) -> Iterator[Stage]:
        """Each stage to learn; the learner is brought to the state after the last one that counts."""
        opened, done = self.opened, self.opened.last_stage
        opened.folder.stage(done).clear_progress()
        self._drop_models(done)
        self._fill_memory(done)
        if done == len(opened.stream):
            return
        resume(opened.parts.taught, opened, done)
        self._memory = opened.memory.memory(opened.stream.tasks[:done])
        made = self._memory.summaries.keys() | self._memory.tagged.keys()
        self._unknown = [task for task in self._memory.tasks if task.name not in made]
        for number in range(done + 1, len(opened.stream) + 1):
            record = opened.folder.stage(number)
            source = copyable_stage(self.beside, opened) if self.beside and number == 1 else None
            memory = with_past(self._memory, opened.parts, map(opened.folder.stage, range(1, number)))
            known = opened.parts, opened.stream, record, memory, self._asked(number)
            yield CopiedStage(*known, source=source) if source else Stage(*known)

    def remember(self, stage: Stage) -> None:
        """Keep the examples of what was learned, with the vectors and tags that planning made."""
        opened = self.opened
        self._memory = self._memory.including(stage.task)
        asked = [*self._unknown, stage.task]
        vectors, tags = opened.parts.known(asked)
        opened.memory.add(memory_key(stage.number), stage.task, vectors, tags)
        self._unknown = [task for task in asked if not opened.parts.knows(task, vectors, tags)]
        if made := stage.made:
            tasks = enumerate(opened.stream.tasks[: stage.number], start=1)
            opened.memory.keep_made(made, {task.name: memory_key(number) for number, task in tasks})

    def count(self, stage: Stage) -> None:
        """Bring the overview up to date."""
        self.opened.summarise()
        self._drop_models(stage.number)

    def _drop_models(self, before: int) -> None:
        over = before == len(self.opened.stream)
        needed = traits_of(self.opened.parts.strategy, StrategyTraits).restores and not over
        if self.opened.settings.model.keep == "last" and not needed:
            self.opened.folder.drop_models(before=before)

    def _fill_memory(self, done: int) -> None:
        """Put back what is missing of the memory: its folder may have been removed since it was damaged."""
        stored = set(self.opened.memory.keys())
        for stage, task in enumerate(self.opened.stream.tasks[:done], start=1):
            if memory_key(stage) not in stored:
                self.opened.memory.add(memory_key(stage), task, {}, {})

    def _asked(self, stage: int) -> list[Task]:
        """The tasks to score, those that are held out too.

        Before the last stage, `between` caps the test examples of all but the new one.
        """
        stream, evaluation = self.opened.stream, self.opened.settings.evaluation
        last = {"learned": stage, "next": stage + 1, "all": len(stream)}[evaluation.scope]
        most = evaluation.between if stage < len(stream) else None

        def asked(task: Task) -> Task:
            return replace(task, test=tuple(sample(task.test, most, 0, content=lambda e: e.id, source=lambda e: "")))

        known = [task if number == stage else asked(task) for number, task in enumerate(stream.tasks[:last], start=1)]
        return [*known, *map(asked, stream.held_out)]
