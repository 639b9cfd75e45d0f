"""For plugin authors: run these checks on your component and know that it keeps the contract."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example, Memory, Task
from inscl.contract.budget import Budget
from inscl.contract.example import Turn
from inscl.contract.objective import Objective
from inscl.contract.plan import ReplayPlan
from inscl.contract.refined import Refined
from inscl.contract.seams import Adapter, Refiner, ReplayStrategy
from inscl.contract.traits import RefinerTraits, StrategyTraits, traits_of

__all__ = [
    "check_adapter",
    "check_objective",
    "check_refiner",
    "check_strategy",
    "fake_embedder",
    "fake_tagger",
    "made_task",
]

_BUDGETS = (Budget(per_task=0), Budget(per_task=4), Budget(total=17), Budget(share=0.5), Budget(total=10**6))


def _long_words(example: Example) -> int:
    """A count of its own, as a model's tokenizer has: no strategy may count words instead."""
    return 3 * len(f"{example.prompt} {example.output}".split())


_TOKENS = (*(Budget(tokens=tokens) for tokens in (0, 1, 120)), Budget(tokens=120, count_tokens=_long_words))


def made_task(name: str, train: int, instructions: int = 3, test: int = 1) -> Task:
    """A task of made-up examples whose instructions differ in how often they occur."""

    def example(k: int, split: str) -> Example:
        words = f"do the {name} job in way {min(k % (instructions * 2), instructions - 1)}"
        return Example(words, f"{split} input {k} of {name}", (f"answer {k}",), name)

    return Task(name, tuple(example(k, "train") for k in range(train)), tuple(example(k, "test") for k in range(test)))


def fake_embedder(texts: list[str]) -> NDArray[np.float32]:
    """Vectors from the texts' letters, shape (n, 26), float32: near texts get near vectors."""
    counts = [[1 + text.lower().count(chr(97 + k)) for k in range(26)] for text in texts]
    return np.asarray(counts, dtype=np.float32).reshape(len(texts), 26)


def fake_tagger(instructions: list[str]) -> list[list[str]]:
    """Every word is a tag."""
    return [text.lower().split() for text in instructions]


def check_strategy(
    factory: Callable[[], ReplayStrategy], *, fills_budget: bool = True, ignores_budget: bool = False
) -> None:
    """Check that a replay strategy keeps the contract.

    Same seed, same plan; the budget kept to the example and never exceeded in tokens, as the budget counts them;
    shares, where a plan has them, for every earlier task; nothing replayed twice or
    invented; plans for an empty memory, for tasks of one example, for identical tasks and for forty tasks.

    Args:
        factory: Makes the strategy, as in ``lambda: Newest()``.
        fills_budget: Whether the strategy uses its whole budget when the memory holds enough. False for one that
            replays less on purpose; the budget is then an upper limit.
        ignores_budget: Whether the strategy replays the same whatever the budget. Only the budget is then left
            unchecked. A strategy whose trait `uses_budget` is False needs no such argument. One whose trait
            `rehearses_new_task` is True may also pick examples of the new task, as often as it likes.

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
    for memory in (Memory(), uneven, same, many):
        for budget in (*_BUDGETS, *_TOKENS):
            plan = _plan(factory, memory, new, budget)
            _check_picks(plan, memory, new if rehearses_new else None)
            if limited:
                _check_budget(plan, memory, new, budget, fills_budget)
            assert _ids(plan) == _ids(_plan(factory, memory, new, budget)), "the same seed gave two different plans"


def check_refiner(factory: Callable[[], Refiner], *, repeatable: bool = True) -> None:
    """Check that a refiner keeps the contract.

    One outcome for each example, in order; a reason for each rejection; new examples with an instruction, an answer and
    the task of their parent, and facts that JSON can hold; the same outcome each time; no example, one, copies, and
    conversations are taken.

    Args:
        factory: Makes the refiner, as in ``lambda: Shortened()``.
        repeatable: Whether the same examples come out the same. False for one that asks a model that draws its words.

    Raises:
        AssertionError: What is broken, in words.
    """
    traits_of(factory(), RefinerTraits)
    task = made_task("job", 30, 5)
    turns = (Turn("user", "first"), Turn("assistant", "then"), Turn("user", "last"))
    talk = Example("first", "last", ("an answer",), "job", turns=turns)
    choice = Example("Is it so?", "a text", ("yes",), "job", options=("yes", "no"), metadata={"source": "a page"})
    for given in ([], [task.train[0]], [task.train[0]] * 3, [*task.train, talk, choice, *task.train[:3]]):
        before = [example.to_json() for example in given]
        outcomes = list(factory().refine(tuple(given)))
        assert [example.to_json() for example in given] == before, "the examples that were given were changed"
        told = [outcome.original.id for outcome in outcomes]
        assert told == [example.id for example in given], "not every example is told of once and in its order"
        for outcome in outcomes:
            _check_outcome(outcome)
        if repeatable:
            assert list(factory().refine(tuple(given))) == outcomes, "the same examples came out otherwise"


def _check_outcome(outcome: Refined) -> None:
    json.dumps([dict(outcome.facts), [dict(made.facts) for made in outcome.made]])
    made = bool(outcome.made)
    assert outcome.outcome != "rejected" or outcome.reason.strip(), "an example is rejected without a reason"
    assert made == (outcome.outcome in ("replaced", "added")), f"{outcome.outcome!r} with {len(outcome.made)} made"
    for one in outcome.made:
        assert one.how.strip(), "an example was made and nothing says how"
        assert one.example.instruction.strip(), "an example was made without an instruction"
        assert any(text.strip() for text in one.example.outputs), "an example was made without an answer"
        assert one.example.task in ("", outcome.original.task), "an example was made for another task"


def check_adapter(factory: Callable[[], Adapter]) -> None:
    """Check that an adapter keeps the contract, on a tiny random model.

    It wraps a model so that something can be trained, by gradients that arrive there; what it says of the base weights
    is true; its parameters are JSON with a kind; and two of the same parameters say the same.

    Args:
        factory: Makes the adapter, as in ``lambda: Norms()``.

    Raises:
        AssertionError: What is broken, in words.
    """
    import torch

    said = factory().to_json()
    assert json.loads(json.dumps(said)) == said, "to_json gives something that JSON can't hold"
    assert said.get("kind"), "to_json doesn't say the kind"
    assert factory().to_json() == said, "two adapters of the same parameters say different things of themselves"
    adapter, model = factory(), _tiny_model()
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    torch.manual_seed(0)
    wrapped = adapter.wrap(model, "tiny", 1)
    trained = [weight for weight in wrapped.parameters() if weight.requires_grad]
    assert trained, "nothing is left to train"
    tokens = torch.tensor([[1, 2, 3, 4]])
    optimiser = torch.optim.SGD(trained, lr=0.5)
    for _ in range(2):
        optimiser.zero_grad()
        wrapped(input_ids=tokens, labels=tokens).loss.backward()
        optimiser.step()
    assert any(weight.grad is not None and bool(weight.grad.any()) for weight in trained), "no gradient arrives"
    if adapter.keeps_base:
        bare = wrapped.unload() if hasattr(wrapped, "unload") else wrapped
        same = all(torch.equal(before[name], weight) for name, weight in bare.named_parameters() if name in before)
        assert same, "keeps_base is True, and training changed the weights that the model came with"
    assert all(hasattr(one, "on_step_end") for one in adapter.callbacks()), "callbacks must be TrainerCallbacks"


def check_objective(factory: Callable[[], Objective]) -> None:
    """Check that an objective keeps the contract, on a made batch of two examples.

    One finite number that gradients can be taken of; the same for the same batch; and no gradient from an example of
    weight 0.

    Args:
        factory: Makes the objective, as in ``lambda: Gentle()``.

    Raises:
        AssertionError: What is broken, in words.
    """
    import torch

    from inscl.contract.objective import IGNORED, ObjectiveBatch, TaughtExample
    from inscl.models.prompts import Encoded

    model = _tiny_model()
    tokens = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])

    def loss(weight: float) -> tuple[Any, Any]:
        logits = model(input_ids=tokens).logits[:, :-1].reshape(8 - 2, -1).float().detach().requires_grad_()
        labels = tokens[:, 1:].reshape(-1).clone()
        labels[0] = IGNORED
        examples = [TaughtExample(Encoded([1, 2, 3, 4], 2)), TaughtExample(Encoded([5, 6, 7, 8], 1), weight, True)]
        owners = torch.tensor([0, 0, 0, 1, 1, 1])
        weights = torch.tensor([1.0, weight])[owners]
        batch = ObjectiveBatch(logits, labels, weights, owners, examples, {"input_ids": tokens}, model)
        return factory()(batch), logits

    found, logits = loss(1.0)
    assert getattr(found, "shape", None) == (), "it must return one number, a scalar tensor"
    assert bool(torch.isfinite(found)), "its value is not a finite number"
    found.backward()
    assert bool(logits.grad.any()), "no gradient comes of it"
    assert float(loss(1.0)[0].detach()) == float(found.detach()), "the same batch gave two values"
    silent, quiet_logits = loss(0.0)
    silent.backward()
    assert not bool(quiet_logits.grad[3:].any()), "an example of weight 0 is learned from"


def _tiny_model() -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=16, max_position_embeddings=32, initializer_range=0.3, **sizes))


def _check_budget(plan: ReplayPlan, memory: Memory, new: Task, budget: Budget, fills_budget: bool) -> None:
    if budget.tokens is not None:
        spent = sum(map(budget.count_tokens, plan.examples))
        assert spent <= budget.tokens, f"a budget of {budget.tokens} tokens was exceeded: {spent}"
        return
    wanted, count = budget.examples(memory, new), len(plan.picks)
    assert count <= wanted, f"budget {budget.to_json()}: {count} examples replayed, {wanted} allowed"
    assert count == wanted or not fills_budget, f"budget {budget.to_json()}: {count} replayed instead of {wanted}"


def _plan(factory: Callable[[], ReplayStrategy], memory: Memory, new: Task, budget: Budget) -> ReplayPlan:
    return factory().plan(memory, new, budget, np.random.default_rng(7))


def _check_picks(plan: ReplayPlan, memory: Memory, rehearsed: Task | None) -> None:
    there = Counter((task.name, example.id) for task in memory.tasks for example in task.train)
    own = {(rehearsed.name, example.id) for example in rehearsed.train} if rehearsed else set()
    for (task, example), count in Counter((pick.task, pick.example.id) for pick in plan.picks).items():
        if (task, example) in own:
            continue
        assert there[task, example], f"a replayed example is not in the train split of {task!r}"
        assert count <= there[task, example], f"an example of {task!r} is replayed {count} times"
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
