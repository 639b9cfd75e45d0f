"""A learner on three ranks, each a thread here, with messages through queues as JSON."""

from __future__ import annotations

import gc
import json
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inscl.config.settings import RunConfig
from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.example import Image, Turn
from inscl.contract.plan import Pick, ReplayPlan
from inscl.contract.seams import LearnReport
from inscl.contract.traits import LearnerTraits, traits_of
from inscl.engine import spread
from inscl.engine.spread import Spread, follow
from inscl.errors import DataError

RANKS = 3


class Recorder:
    """Says its rank with every answer, and keeps what it was taught."""

    traits = LearnerTraits(log_likelihoods=True, chooses=True, resumes=True, saves=True)

    def __init__(self, rank: int) -> None:
        self.rank, self.taught, self.asked = rank, [], []
        self.progress_dir: Path | None = None
        self.measure_visits = False
        self.loaded: list[Path] = []

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        self.taught.append((task.name, task.train, plan, self.measure_visits, self.progress_dir))
        return LearnReport(1, len(task.train), len(plan.picks), 1, 1, 0, 0.0, 0.0)

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        self.asked.append((list(questions), max_new_tokens, self.progress_dir))
        return [Answer(f"{self.rank}: {question.prompt}", None, max_new_tokens, 1) for question in questions]

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        assert questions, "no rank is asked for nothing"
        return [LogLikelihood(-float(len(answer)), self.rank + 1) for answer in answers]

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        return [tuple(-float(k) - normalise for k, _ in enumerate(question.options)) for question in questions]

    def save(self, folder: Path) -> None:
        self.saved = folder

    def load(self, folder: Path) -> None:
        self.loaded.append(folder)

    def count_tokens(self, example: Example) -> int:
        return 42


class Queues:
    """A channel of threads; messages are JSON, as they are between processes."""

    def __init__(self) -> None:
        self.ranks = RANKS
        self.down = [queue.Queue[str]() for _ in range(RANKS)]
        self.up = [queue.Queue[str]() for _ in range(RANKS)]
        self.here = threading.local()

    def tell(self, message: Any) -> None:
        for other in range(1, RANKS):
            self.down[other].put(json.dumps(message))

    def hear(self) -> Any:
        return json.loads(self.down[self.here.rank].get(timeout=20))

    def reply(self, message: Any) -> None:
        self.up[self.here.rank].put(json.dumps(message))

    def replies(self) -> list[Any]:
        return [json.loads(self.up[other].get(timeout=20)) for other in range(1, RANKS)]


class Ranks:
    def __init__(self, channel: Queues) -> None:
        self.channel, self.made = channel, [[] for _ in range(RANKS)]
        self.threads = [threading.Thread(target=self.run, args=(rank,), daemon=True) for rank in range(1, RANKS)]
        for thread in self.threads:
            thread.start()

    def run(self, rank: int) -> None:
        self.channel.here.rank = rank
        follow(self.channel, lambda config: self.make(rank, config))

    def make(self, rank: int, config: RunConfig) -> Recorder:
        assert config.seed == 5
        self.made[rank].append(Recorder(rank))
        return self.made[rank][-1]


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ranks]:
    channel = Queues()
    channel.here.rank = 0
    monkeypatch.setattr(spread, "rank", lambda: channel.here.rank)
    running = Ranks(channel)
    yield running
    channel.tell(None)
    for thread in running.threads:
        thread.join(20)
        assert not thread.is_alive()


def spread_of(ranks: Ranks) -> tuple[Recorder, Any]:
    own = Recorder(0)
    return own, Spread(own, RunConfig(seed=5), ranks.channel)


def test_rows_are_dealt_out_and_come_back_in_order(ranks: Ranks, tmp_path: Path) -> None:
    own, learner = spread_of(ranks)
    learner.progress_dir = tmp_path
    turns = (Turn("system", "Brief"), Turn("user", "And?"))
    questions = [Question(str(k), turns=turns, options=("a", "b"), metadata={"k": k}) for k in range(7)]
    found = learner.answer(questions, 9)
    assert [one.text for one in found] == [f"{k % RANKS}: {k}" for k in range(7)]
    assert {one.prompt_tokens for one in found} == {9}
    assert own.asked == [(questions[::3], 9, tmp_path)]
    assert ranks.made[2][0].asked == [(questions[2::3], 9, tmp_path)]
    said = [str(k) * k for k in range(7)]
    likely = learner.log_likelihoods(questions, said)
    assert [(one.nats, one.tokens) for one in likely] == [(-float(k), k % RANKS + 1) for k in range(7)]
    assert learner.choose(questions, normalise=False) == [(0.0, -1.0)] * 7


def test_fewer_rows_than_ranks_ask_nobody_for_nothing(ranks: Ranks) -> None:
    _, learner = spread_of(ranks)
    assert len(learner.log_likelihoods([Question("one")], ["x"])) == 1
    assert learner.answer([]) == []


def test_every_rank_is_taught_the_same_by_the_same_plan(ranks: Ranks) -> None:
    own, learner = spread_of(ranks)
    rows = tuple(Example("Say", str(k), ("a", "b"), "new", metadata={"k": k}) for k in range(4))
    picks = tuple(Pick(example, "old", 2, 0.5, {"why": "because"}) for example in rows[:2])
    learner.measure_visits, learner.progress_dir = True, Path("/nowhere/progress")
    assert learner.learn(Task("new", rows), ReplayPlan("new", "made", picks)).replayed == 2
    learner.load(Path("/nowhere"))
    learner.answer([Question("?")] * RANKS)  # waits for all
    for rank in range(1, RANKS):
        (other,) = ranks.made[rank]
        assert other.taught == own.taught
        assert other.loaded == [Path("/nowhere")]
    assert own.taught[0][3:] == (True, Path("/nowhere/progress"))


def test_one_that_learns_alone_is_loaded_by_the_others_before_they_are_asked(
    ranks: Ranks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "traits", replace(Recorder.traits, learns_alone=True))
    own, learner = spread_of(ranks)
    task = Task("new", (Example("Say", "", ("a",), "new"),))
    assert learner.learn(task, ReplayPlan.nothing("new")).examples == 1
    questions = [Question(str(k)) for k in range(RANKS)]
    assert [one.text for one in learner.answer(questions)] == [f"0: {k}" for k in range(RANKS)], "the others know less"
    assert len(own.taught) == 1
    assert not ranks.made[1]
    learner.save(tmp_path)
    assert own.saved == tmp_path
    assert [one.text for one in learner.answer(questions)] == [f"{k}: {k}" for k in range(RANKS)]
    for rank in range(1, RANKS):
        (other,) = ranks.made[rank]
        assert (other.taught, other.loaded) == ([], [tmp_path])
    learner.save(tmp_path / "again")
    learner.answer(questions)
    assert ranks.made[1][0].loaded == [tmp_path], "they know as much already"


def test_pictures_are_refused_before_anybody_is_told(ranks: Ranks) -> None:
    _, learner = spread_of(ranks)
    with pytest.raises(DataError, match="without a launcher"):
        learner.answer([Question("?", images=(Image("sky.png"),))])
    row = Example("Say", "", ("red",), images=(Image("sky.png"),))
    with pytest.raises(DataError, match="without a launcher"):
        learner.learn(Task("new", (row,)), ReplayPlan.nothing("new"))
    assert not ranks.made[1]


def test_what_is_not_shared_is_the_learner_s_own(ranks: Ranks) -> None:
    own, learner = spread_of(ranks)
    assert traits_of(learner, LearnerTraits) is own.traits
    assert learner.count_tokens(Example("Say", "", ("x",))) == 42
    assert not ranks.made[1], "the others make a learner when it is first needed"
    assert not hasattr(learner, "nothing")


def test_learners_that_are_gone_are_gone_everywhere(ranks: Ranks) -> None:
    import weakref

    _, first = spread_of(ranks)
    first.answer([Question("?")] * RANKS)
    others = weakref.ref(ranks.made[1].pop())
    del first
    gc.collect()
    _, second = spread_of(ranks)
    second.answer([Question("?")] * RANKS)
    second.answer([Question("?")] * RANKS)
    gc.collect()
    assert others() is None
