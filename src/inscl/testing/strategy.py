"""`check_strategy`: what a replay strategy must keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.plan import PastStage, ReplayPlan
from inscl.contract.seams import ReplayStrategy
from inscl.contract.traits import StrategyTraits, traits_of
from inscl.testing.made import made_task

__all__ = ["check_strategy"]

_BUDGETS = (Budget(per_task=0), Budget(per_task=4), Budget(total=17), Budget(share=0.5), Budget(total=10**6))


def _long_words(example: Example) -> int:
    """A count of its own, as a model's tokenizer has: no strategy may count words instead."""
    return 3 * len(f"{example.prompt} {example.output}".split())


_TOKENS = (*(Budget(tokens=tokens) for tokens in (0, 1, 120)), Budget(tokens=120, count_tokens=_long_words))


def check_strategy(
    factory: Callable[[], ReplayStrategy], *, fills_budget: bool = True, ignores_budget: bool = False
) -> None:
    """Check that a replay strategy keeps the contract.

    Same seed, same plan; the budget kept to the example and never exceeded in tokens, as the budget counts them;
    shares, where a plan has them, for every earlier task; nothing replayed twice or
    invented; plans for an empty memory, for tasks of one example, for identical tasks and for forty tasks, and with an
    earlier stage to look back at for one that `remembers`.

    Args:
        factory: Makes the strategy, as in ``lambda: Newest()``.
        fills_budget: Whether the strategy uses its whole budget when the memory holds enough. False for one that
            replays less on purpose; the budget is then an upper limit.
        ignores_budget: Whether the strategy replays the same whatever the budget. Only the budget is then left
            unchecked. A strategy whose trait `uses_budget` is False needs no such argument. One whose trait
            `rehearses_new_task` is True may also pick examples of the new task, as often as it likes. One whose trait
            `writes` is True picks no examples of the memory; what it wrote must be for instructions there.

    Raises:
        AssertionError: What is broken, in words.
    """
    traits = traits_of(factory(), StrategyTraits)
    limited = not ignores_budget and traits.uses_budget
    rehearses_new = traits.rehearses_new_task
    uneven = Memory((made_task("short", 1, 1), made_task("long", 40, 5), made_task("middle", 9, 9)))
    same = Memory(tuple(_renamed(made_task("twin", 12), name) for name in ("a", "b")))
    many = Memory(tuple(made_task(f"task{k}", 6 + k % 3) for k in range(40)))
    new = made_task("new", 20)
    # What isn't written yet has no tokens.
    budgets = _BUDGETS if traits.writes else (*_BUDGETS, *_TOKENS)
    for memory in (Memory(), uneven, same, many):
        for budget in budgets:
            plan = _plan(factory, memory, new, budget)
            assert traits.replays or not plan.picks, "its traits say that it never replays, and it does"
            _check_picks(plan, memory, new if rehearses_new else None, traits.writes)
            if limited:
                _check_budget(plan, memory, new, budget, fills_budget)
            assert _ids(plan) == _ids(_plan(factory, memory, new, budget)), "the same seed gave two different plans"
            if traits.remembers:
                later = replace(memory, past=(PastStage(plan),))
                _check_picks(_plan(factory, later, new, budget), later, new if rehearses_new else None, traits.writes)


def _plan(factory: Callable[[], ReplayStrategy], memory: Memory, new: Task, budget: Budget) -> ReplayPlan:
    return factory().plan(memory, new, budget, np.random.default_rng(7))


def _check_budget(plan: ReplayPlan, memory: Memory, new: Task, budget: Budget, fills_budget: bool) -> None:
    if budget.tokens is not None:
        spent = sum(map(budget.count_tokens, plan.examples))
        assert spent <= budget.tokens, f"a budget of {budget.tokens} tokens was exceeded: {spent}"
        return
    wanted, count = budget.examples(memory, new), len(plan.picks)
    assert count <= wanted, f"budget {budget.to_json()}: {count} examples replayed, {wanted} allowed"
    assert count == wanted or not fills_budget, f"budget {budget.to_json()}: {count} replayed instead of {wanted}"


def _check_picks(plan: ReplayPlan, memory: Memory, rehearsed: Task | None, writes: bool = False) -> None:
    there = Counter((task.name, example.id) for task in memory.tasks for example in task.train)
    own = {(rehearsed.name, example.id) for example in rehearsed.train} if rehearsed else set()
    for (task, example), count in Counter((pick.task, pick.example.id) for pick in plan.picks).items():
        if (task, example) in own:
            continue
        if writes:
            assert count == 1, f"an example written for {task!r} is replayed {count} times"
            continue
        assert there[task, example], f"a replayed example is not in the train split of {task!r}"
        assert count <= there[task, example], f"an example of {task!r} is replayed {count} times"
    if writes:
        wordings = {task.name: set(task.instructions) for task in memory.tasks}
        strange = [pick.task for pick in plan.picks if pick.example.instruction not in wordings.get(pick.task, ())]
        assert not strange, f"an example was written for an instruction that {strange[0]!r} doesn't have"
    if plan.shares:
        missing = [task.name for task in memory.tasks if task.name not in {share.task for share in plan.shares}]
        assert not missing, f"the plan's shares leave out earlier tasks: {', '.join(missing)}"
        taken = Counter(pick.task for pick in plan.picks)
        for share in plan.shares:
            assert share.allocation == taken[share.task], (
                f"the plan says {share.allocation} of {share.task!r} and replays {taken[share.task]}"
            )


def _ids(plan: ReplayPlan) -> list[str]:
    return [pick.example.id for pick in plan.picks]


def _renamed(task: Task, name: str) -> Task:
    return Task(name, task.train, task.test)
