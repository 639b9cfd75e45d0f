"""The demo's stream: five jobs of a shop's mail room, made from a seed, with exact answers."""

from __future__ import annotations

from typing import Final

from inscl.contract import Example, Stream, Task
from inscl.data.demo.drawing import DemoTask, Draw
from inscl.data.demo.grade_review import GRADE_REVIEW
from inscl.data.demo.order_to_json import ORDER_TO_JSON
from inscl.data.demo.redact_personal_data import REDACT_PERSONAL_DATA
from inscl.data.demo.rewrite_date import REWRITE_DATE
from inscl.data.demo.route_message import ROUTE_MESSAGE
from inscl.errors import DataError

__all__ = ["DEMO_TASKS", "demo_stream"]

# Short answers first: an early task is evaluated at every later stage.
DEMO_TASKS: Final = (ROUTE_MESSAGE, GRADE_REVIEW, REWRITE_DATE, ORDER_TO_JSON, REDACT_PERSONAL_DATA)


def demo_stream(seed: int = 0, train: int = 240, test: int = 60) -> Stream:
    """Make the stream that ships with the package.

    Five tasks over messages to one shop: route a message to a team code, grade a review in house labels, rewrite a
    date in house format, turn an order into JSON, redact personal data. Every input is distinct, within and between
    tasks and splits. The wordings of an instruction are as uneven as words are: the k-th is used in proportion to 1/k.

    Args:
        seed: The same seed gives the same stream on every Python and machine; another seed, another stream.
        train: Train examples a task.
        test: Test examples a task.

    Returns:
        Five tasks with `train` and `test` examples each.

    Raises:
        DataError: More distinct examples were asked for than the generator can make.
    """
    seen: set[str] = set()
    return Stream(tuple(_make_task(task, seed, train, test, seen) for task in DEMO_TASKS), name="demo")


def _make_task(task: DemoTask, seed: int, train: int, test: int, seen: set[str]) -> Task:
    # The test part is drawn first, so that it stays the same however much there is to learn from.
    pairs = _distinct_pairs(task, Draw(f"{seed}-{task.name}"), test + train, seen)

    def split(name: str, part: list[tuple[str, str]]) -> tuple[Example, ...]:
        instructions = Draw(f"{seed}-{task.name}-{name}").shuffled(_uneven(task.instructions, len(part)))
        rows = zip(instructions, part, strict=True)
        return tuple(Example(said, text, (answer,), task.name, "demo") for said, (text, answer) in rows)

    return Task(task.name, split("train", pairs[test:]), split("test", pairs[:test]), task.max_new_tokens)


def _distinct_pairs(task: DemoTask, draw: Draw, count: int, seen: set[str]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for _ in range(100 * count):
        if len(pairs) == count:
            break
        text, answer = task.make(draw)
        if text not in seen:
            seen.add(text)
            pairs.append((text, answer))
    if len(pairs) < count:
        raise DataError(
            f"the demo's task {task.name} can't make {count} distinct examples; ask for {len(pairs)} or fewer"
        )
    return pairs


def _uneven(instructions: tuple[str, ...], count: int) -> list[str]:
    """`count` instructions, the k-th in proportion to 1/k (Zipf); what rounding leaves goes to the first ones."""
    total = sum(1 / rank for rank in range(1, len(instructions) + 1))
    shares = [int(count / rank / total) for rank in range(1, len(instructions) + 1)]
    left = count - sum(shares)
    return [said for place, said in enumerate(instructions) for _ in range(shares[place] + (place < left))]
