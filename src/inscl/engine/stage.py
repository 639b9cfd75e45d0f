"""One stage: plan, learn, evaluate, and write all its records except the mark that makes it count."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from inscl.contract import Answer, Memory, Stream, Task
from inscl.contract.made import MadeOfTasks
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import Describing, Learner, Persistent, Resumable, Visiting
from inscl.contract.traits import LearnerTraits, StrategyTraits, traits_of
from inscl.data.refined import REJECTED
from inscl.engine.parts import Parts
from inscl.engine.plan import NOTED_FILES, VISITS, made_of_tasks, plan_stage, waits, write_noted, write_plan
from inscl.engine.rounds import InRounds, rounds_of
from inscl.errors import DivergedError, ModelError, WorkspaceError
from inscl.evaluation import evaluate_together
from inscl.storage.files.atomic import read_jsonl
from inscl.storage.run.progress import StageProgress
from inscl.storage.run.run_folder import Record

DIVERGED = "diverged.json"
"""In the folder of a stage that can't be finished, since its training diverged; a new attempt deletes it."""

__all__ = ["DIVERGED", "Asked", "Planned", "Stage", "evaluate_tasks", "learn", "predictions_file", "set_aside"]


class Asked(NamedTuple):
    """What asking took.

    Attributes:
        seconds: What was asked for (``text``, ``likelihood``, ``choice``) -> wall time, all tasks together.
        answers: Every answer that was generated.
    """

    seconds: dict[str, float]
    answers: list[Answer]


class Planned(NamedTuple):
    """A plan that was made before its stage began.

    Attributes:
        plan: The plan.
        seconds: What making it took.
        made: What the strategy made for it and later plans can use.
    """

    plan: ReplayPlan
    seconds: float
    made: MadeOfTasks = MadeOfTasks()


@dataclass
class Stage:
    """One stage that is being learned; each step is recorded as soon as it is done.

    Attributes:
        parts: Strategy, budget, scorers, and the learner as it is after the stage before.
        stream: The stage's task and those before it.
        record: The stage's folder.
        memory: What may be replayed.
        asked: The tasks that are scored after it.
        planned: Its plan, where that was made already.
        rejected: Rows of its data that were set aside.
    """

    parts: Parts
    stream: Stream
    record: Record
    memory: Memory
    asked: Sequence[Task]
    planned: Planned | None = None
    rejected: Sequence[Mapping[str, Any]] = ()
    _seconds: dict[str, float] = field(default_factory=dict, init=False)
    _answers: list[Answer] = field(default_factory=list, init=False)
    _progress: StageProgress = field(init=False)

    @property
    def number(self) -> int:
        """1 for the first task."""
        return self.record.stage

    @property
    def task(self) -> Task:
        """What is learned."""
        return self.stream.tasks[self.number - 1]

    @property
    def waits(self) -> bool:
        """Whether nothing is learned at this stage: joint training waits for the last task."""
        return waits(self.parts, self.stream, self.number)

    @property
    def made(self) -> MadeOfTasks:
        """What planning made of the tasks, for the memory to keep."""
        return self.planned.made if self.planned else made_of_tasks(self.parts.strategy)

    def begin(self) -> None:
        """Clear what an interrupted attempt left, except its resumable progress and the rows that were set aside."""
        # The data may not be at hand any more, so that nobody could tell the rejected rows again.
        rejected = self.rejected or set_aside(self.record)
        self.record.begin(keep=[REJECTED] if rejected else [])
        if rejected:
            self.record.write_rows(REJECTED, rejected)
        self.parts.progress.stage(self.number, len(self.stream), self.task.name)

    def plan(self) -> ReplayPlan:
        """Decide what is replayed, and write it down."""
        started = time.monotonic()
        made = self.planned or Planned(plan_stage(self.parts, self.stream, self.number, self.memory), 0.0)
        write_plan(self.record, made.plan)
        self._took("plan", made.seconds + time.monotonic() - started)
        return made.plan

    def learn(self, plan: ReplayPlan) -> None:
        """Teach the learner the task and the replay, or take up what an interrupted attempt taught it."""
        started = time.monotonic()
        decides = [self.number, self.task.fingerprint, plan.to_json(), [pick.to_json() for pick in plan.picks]]
        self._progress = self.record.progress([*self.parts.identity, *decides])
        if traits_of(self.parts.strategy, StrategyTraits).uses_visits:
            cast(Visiting, self.parts.taught).measure_visits = True
        if self.parts.endpoint:
            self.parts.endpoint.check()  # before hours of training
        taught = self._taught()
        try:
            seconds = learn(taught, self.task, plan, self.record, self._progress)
        except DivergedError as error:
            self.record.write(DIVERGED, {"schema": 1, "said": str(error)})
            raise
        if (revised := InRounds.revised(self._progress.path)) is not None:
            write_plan(self.record, revised)
        self._took("train", max(seconds, time.monotonic() - started))

    def _taught(self) -> Learner:
        """The learner, or what teaches it in rounds."""
        parts = self.parts
        if self.waits or (rounds := rounds_of(parts.strategy, self.memory)) == 1:
            return parts.taught
        seed = [parts.config.seed, self.number, rounds]
        return InRounds(parts.taught, parts.strategy, self.memory, parts.budget, rounds, seed)

    def describe(self) -> None:
        """Have the strategy note of the task what it will need when the examples are gone, if it is one that does."""
        if not traits_of(self.parts.strategy, StrategyTraits).describes:
            return
        started, folder = time.monotonic(), self.record.path / NOTED_FILES
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        write_noted(self.record, self.task, cast(Describing, self.parts.strategy).describe(self.task, folder))
        if not any(folder.iterdir()):
            folder.rmdir()
        self._took("describe", time.monotonic() - started)

    def evaluate(self) -> None:
        """Score the learner, once it is taught, on the tasks that are asked."""
        started = time.monotonic()
        with self.parts.scored(lambda: self.parts.taught, self.record.model) as asked:
            seconds, self._answers = evaluate_tasks(asked, self.parts, self.asked, self.record, self._progress)
        self._took("evaluate", time.monotonic() - started)
        for needs, took in seconds.items():
            self._took(f"evaluate_{needs}", took)

    def finish(self) -> None:
        """Make the stage count."""
        self.record.write("seconds.json", self._seconds)
        self.record.write("costs.json", self._costs())
        self.record.finish()

    def _costs(self) -> dict[str, int | None]:
        """Answers generated, tokens read for them, bytes of the learner's state; None where that isn't known."""
        read = [answer.prompt_tokens for answer in self._answers if answer.prompt_tokens is not None]
        known = self._answers and len(read) == len(self._answers)
        files = [path for path in self.record.model.rglob("*") if path.is_file()]
        return {
            "schema": 1,
            "answers": len(self._answers),
            "prompt_tokens": sum(read) if known else None,
            "state_bytes": sum(path.stat().st_size for path in files) if files else None,
        }

    def _took(self, what: str, seconds: float) -> None:
        self._seconds[what] = round(seconds, 3)


def learn(
    learner: Learner,
    task: Task,
    plan: ReplayPlan,
    record: Record,
    progress: StageProgress,
    files: Sequence[str] = ("learn.json", "train_log.jsonl"),
    model: Path | None = None,
) -> float:
    """Teach a stage, or take up what an interrupted attempt taught; returns the seconds that it took.

    Args:
        learner: As it is after the stage before.
        task: What is new.
        plan: What is rehearsed.
        record: The stage's folder.
        progress: What is finished of the stage.
        files: Which records to write of ``learn.json`` and ``train_log.jsonl``.
        model: Where the learner's state goes. Default: the stage's ``model``.
    """
    model, traits = model or record.model, traits_of(learner, LearnerTraits)
    if (learned := progress.learned) is not None and traits.saves:
        cast(Persistent, learner).load(model)
        return float(learned["seconds"])
    with _keeping(learner, progress):
        report = learner.learn(task, plan)
    content = asdict(report)
    visits = content.pop("visits")
    if not content["facts"]:
        del content["facts"]
    record.write("learn.json", content)
    if visits:
        record.write_rows(VISITS, [{"id": one, "first": f, "last": last} for one, (f, last) in visits.items()])
        files = [*files, VISITS]
    if "train_log.jsonl" in files:
        record.write_rows("train_log.jsonl", cast(Any, learner).log if traits.logs else [])
    if traits.saves:
        shutil.rmtree(model, ignore_errors=True)  # of an attempt that was interrupted while it saved
        model.mkdir(parents=True)
        cast(Persistent, learner).save(model)
        progress.keep_learned([*files, model.relative_to(record.path).as_posix()], report.seconds)
    return report.seconds


@contextmanager
def _keeping(learner: Learner, progress: StageProgress) -> Iterator[None]:
    """Have the learner keep what it finishes while the block runs, if it can.

    Raises:
        ModelError: There isn't memory enough.
    """
    resumable = cast(Resumable, learner) if traits_of(learner, LearnerTraits).resumes else None
    if resumable:
        resumable.progress_dir = progress.path
    try:
        yield
    except MemoryError as error:
        raise ModelError(
            "out of memory: free memory or lower evaluation.batch_size; then give the same command again, which goes "
            "on from what is finished; a lower training.batch_size changes the result, so it begins anew: in another "
            "folder, or in a workspace after `inscl rollback`"
        ) from error
    finally:
        if resumable:
            resumable.progress_dir = None


def evaluate_tasks(
    learner: Learner,
    parts: Parts,
    tasks: Iterable[Task],
    record: Record,
    progress: StageProgress,
    kept: Mapping[str, Any] | None = None,
) -> Asked:
    """Ask the test prompts of `tasks` but of those in `kept`, and write predictions and all scores."""
    scores = dict(kept or {})
    asked = [task for task in tasks if task.name not in scores and task.test]
    evaluation = parts.config.evaluation
    with _keeping(learner, progress):
        results = evaluate_together(
            learner,
            asked,
            parts.scorers,
            evaluation.longest_answer,
            parts.progress,
            progress.answers,
            evaluation.most_asked,
        )
    seconds: Counter[str] = Counter()
    answers: list[Answer] = []
    for result in results:
        record.write_rows(predictions_file(result.task), result.predictions)
        scores[result.task] = result.to_json()
        seconds.update(result.seconds)
        answers += result.answers
    record.write_scores(scores)
    return Asked(dict(seconds), answers)


def predictions_file(task: str) -> str:
    """Where a stage's answers on a task stand in its folder."""
    return f"predictions/{task}.jsonl"


def set_aside(record: Record) -> list[Mapping[str, Any]]:
    """Rows set aside that stand in the folder of a stage, counting or not; none if there are none to be read."""
    path = record.path / REJECTED
    try:
        return read_jsonl(path) if path.exists() else []
    except WorkspaceError:
        return []
