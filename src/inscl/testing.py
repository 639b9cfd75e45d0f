"""For plugin authors: run these checks on your component and know that it keeps the contract."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Answer, Example, Memory, Question, Task
from inscl.contract.budget import Budget
from inscl.contract.example import Turn
from inscl.contract.objective import Objective
from inscl.contract.plan import Pick, ReplayPlan
from inscl.contract.refined import Refined
from inscl.contract.seams import Adapter, Learner, Refiner, ReplayStrategy
from inscl.contract.traits import LearnerTraits, RefinerTraits, StrategyTraits, traits_of
from inscl.errors import UserError

__all__ = [
    "check_adapter",
    "check_learner",
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


def check_learner(factory: Callable[[], Learner]) -> None:
    """Check that a learner keeps the contract and has what its traits say.

    One answer a question, in order, to single questions and conversations, whatever else is asked with them; a report
    of what was learned; learning nothing refused or reported as nothing. Where the traits say so: likelihoods of at
    most 0 nats over at least one token; log-probabilities over options that sum to one, whichever way they are
    compared; tokens counted; a state that, read by a fresh learner, gives the same answers; a log of the last stage.

    Args:
        factory: Makes a learner that has learned nothing, each time the same, as in ``lambda: Parrot()``.

    Raises:
        AssertionError: What is broken, in words.
    """
    learner = factory()
    traits = traits_of(learner, LearnerTraits)
    missing = [
        f"{method!r} (trait {trait!r})"
        for trait, methods in _METHODS.items()
        if getattr(traits, trait)
        for method in methods
        if not hasattr(learner, method)
    ]
    assert not missing, f"the traits of {type(learner).__name__} declare what it doesn't have: {', '.join(missing)}"
    task, old = made_task("new", 4, 2), made_task("old", 3, 2)
    replay = ReplayPlan(task.name, "made", tuple(Pick(example, old.name, 3) for example in old.train))
    report = learner.learn(task, replay)
    assert report.examples > 0, "a task with train examples was learned, and the report counts none"
    assert report.replayed > 0, "a plan with picks was learned, and the report counts none as replayed"
    assert np.isfinite(report.loss), f"the report's loss is {report.loss}"
    assert report.seconds >= 0, f"the report's seconds are {report.seconds}"
    _check_answers(learner)
    for trait, check in _CHECKS.items():
        if getattr(traits, trait):
            check(learner)
    if traits.saves:
        _check_state(learner, factory)
    _check_nothing(factory())


def _questions() -> list[Question]:
    """Single questions and a conversation, with options; the first two are those of `made_task`."""
    turns = (Turn("system", "Be brief"), Turn("user", "Hello"), Turn("assistant", "Hi"), Turn("user", "And you?"))
    own = [Question.of(example) for example in (*made_task("new", 4, 2).train, *made_task("old", 3, 2).train)]
    asked = [*own[:2], Question("Be brief", "And you?", turns), Question("\N{SNOWMAN}?"), own[-1]]
    return [replace(question, options=("yes", "yes, it is", "no")) for question in asked]


def _check_answers(learner: Learner) -> None:
    questions = _questions()
    answers = learner.answer(questions, max_new_tokens=8)
    assert len(answers) == len(questions), f"{len(questions)} questions were asked and {len(answers)} answers came"
    for answer in answers:
        assert isinstance(answer, Answer), f"answers must be of the type Answer, not {type(answer).__name__}"
    texts = [answer.text for answer in answers]
    turned = [answer.text for answer in learner.answer([*questions[1:], questions[0]], max_new_tokens=8)]
    assert [turned[-1], *turned[:-1]] == texts, "the same questions in another order got other answers"
    assert learner.answer([], max_new_tokens=8) == [], "no questions must give no answers"


def _check_likelihoods(learner: Any) -> None:
    questions = _questions()
    found = learner.log_likelihoods(questions, ["yes", "", "no", "a longer answer", "yes"])
    assert len(found) == len(questions), f"{len(questions)} answers were given and {len(found)} likelihoods came"
    for one in found:
        assert np.isfinite(one.nats), f"a log-likelihood is {one.nats}"
        assert one.nats <= 0, f"a log-likelihood is {one.nats}: no answer is more likely than certain"
        assert one.tokens >= 1, "a log-likelihood is of no tokens: the end of sequence counts as one"
        assert one.correct is None or 0 <= one.correct <= one.tokens, (
            f"{one.correct} of {one.tokens} tokens are said to be the most likely ones"
        )


def _check_choices(learner: Any) -> None:
    questions = _questions()
    for normalise in (True, False):
        found = learner.choose(questions, normalise=normalise)
        assert len(found) == len(questions), f"{len(questions)} questions were asked and {len(found)} choices came"
        for question, chosen in zip(questions, found, strict=True):
            assert len(chosen) == len(question.options), (
                f"a question has {len(question.options)} options, and {len(chosen)} log-probabilities came"
            )
            total = float(np.exp(np.asarray(chosen, dtype=float)).sum())
            assert abs(total - 1) < 1e-3, f"the probabilities of a question's options sum to {total:.4f}, not to 1"


def _check_counts(learner: Any) -> None:
    short, long = Example("a", "", ("b",)), Example("a", "and much more to read " * 3, ("b",))
    for example in (short, long):
        count = learner.count_tokens(example)
        assert isinstance(count, int), f"count_tokens gave {count!r}: a whole number was expected"
        assert count >= 1, f"count_tokens gave {count}: at least 1 was expected"
    assert learner.count_tokens(long) > learner.count_tokens(short), "a longer prompt must have more tokens"


def _check_log(learner: Any) -> None:
    for row in learner.log:
        json.dumps(row, allow_nan=False)  # raises for what can't be written as train_log.jsonl


def _check_state(learner: Any, factory: Callable[[], Learner]) -> None:
    questions = _questions()
    before = [answer.text for answer in learner.answer(questions, max_new_tokens=8)]
    with tempfile.TemporaryDirectory(prefix="inscl-") as folder:
        learner.save(Path(folder))
        assert any(Path(folder).iterdir()), "save wrote nothing"
        other: Any = factory()
        other.load(Path(folder))
    after = [answer.text for answer in other.answer(questions, max_new_tokens=8)]
    assert after == before, "what was saved and read by a fresh learner gives other answers"


def _check_nothing(learner: Learner) -> None:
    try:
        report = learner.learn(Task("empty", (), ()), ReplayPlan.nothing("empty"))
    except UserError:
        return
    except Exception as error:
        raise AssertionError(
            f"learning nothing raised {error!r}: raise an error of inscl.errors that says what is missing, or report "
            "that nothing was learned"
        ) from error
    assert report.examples == report.replayed == 0, "nothing was learned, and the report counts examples"


_METHODS = {
    "saves": ("save", "load"),
    "resumes": ("progress_dir",),
    "logs": ("log",),
    "log_likelihoods": ("log_likelihoods",),
    "chooses": ("choose",),
    "counts_tokens": ("count_tokens",),
}
_CHECKS: dict[str, Callable[[Any], None]] = {
    "log_likelihoods": _check_likelihoods,
    "chooses": _check_choices,
    "counts_tokens": _check_counts,
    "logs": _check_log,
}
