"""Closed answers: read from a column, named by a class label, given by the user, or found in a task's answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inscl.contract import Example
from inscl.data.columns import RowProblem, as_text, decoded
from inscl.data.quoting import excerpt
from inscl.data.readers.rows import listed

__all__ = [
    "FEWEST",
    "FOUND",
    "LONGEST",
    "MOST",
    "OFTEN",
    "FoundOptions",
    "check_answer",
    "check_options",
    "find_options",
    "options_problem",
    "read_options",
    "told",
]

FOUND = "found in its answers"
"""Where options come from, as findings say it."""

MOST = 20
"""Most options that are found; a column, a class label or the user may give more."""
LONGEST = 50
"""Most characters of an option that is found; it is one line."""
FEWEST = 3
"""How often each found option is an answer at least; and in one example of a hundred, up to `OFTEN` times."""
OFTEN = 20
"""As many occurrences are often in any task."""


def read_options(value: Any) -> tuple[str, ...]:
    """The options of a row: a list, JSON text of one, or a text with an option a line, or with semicolons between.

    An empty value is no options. Space around an option is left aside, and one that stands twice counts once.

    Raises:
        RowProblem: It is nothing of that kind, or fewer than two options.
    """
    given = decoded(value)
    if isinstance(given, str):
        given = [part for part in given.split("\n" if "\n" in given.strip() else ";") if part.strip()]
    if given is None or (isinstance(given, (list, tuple)) and not given):
        return ()
    if not isinstance(given, (list, tuple)):
        raise RowProblem(f"the options are {type(given).__name__}; a list of texts was expected")
    return check_options([as_text(option, "options") for option in given])


def check_options(options: Iterable[str]) -> tuple[str, ...]:
    """Options without the space around them, each once.

    Raises:
        RowProblem: One is empty, or there are fewer than two.
    """
    distinct = tuple(dict.fromkeys(option.strip() for option in options))
    if "" in distinct:
        raise RowProblem("one of the options is empty")
    if not distinct:
        raise RowProblem("there are no options; a choice needs two")
    if len(distinct) < 2:
        raise RowProblem(f"there is one option only, {excerpt(distinct[0])}; a choice needs two")
    return distinct


def options_problem(setting: Any) -> str:
    """What is wrong with a setting ``options``: None, ``found``, ``given``, ``none`` or texts; else empty."""
    if setting in (None, "found", "given", "none"):
        return ""
    if isinstance(setting, (list, tuple)) and any(isinstance(option, bool) for option in setting):
        return "texts were expected; YAML takes yes, no, on and off for true and false: put options in quotes"
    if not isinstance(setting, (list, tuple)) or not all(isinstance(option, str) for option in setting):
        return f"found, given, none or a list of texts was expected: {excerpt(repr(setting))[1:-1]}"
    try:
        check_options(setting)
    except RowProblem as problem:
        return str(problem)
    return ""


def check_answer(outputs: Sequence[str], options: Sequence[str]) -> None:
    """Refuse reference answers of which one is none of the options.

    Raises:
        RowProblem: It names the answer and the options.
    """
    for output in outputs:
        if output.strip() not in options:
            raise RowProblem(f"the output {excerpt(output)} is none of the options ({listed(options)})")


@dataclass(frozen=True)
class FoundOptions:
    """Options that were found in the answers of a task.

    Attributes:
        task: Of all its examples; empty where the task as a whole is no choice.
        by_instruction: Of the examples of each instruction whose answers are a choice.
    """

    task: tuple[str, ...] = ()
    by_instruction: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, example: Example) -> tuple[str, ...]:
        """The options of an example of that task, of whichever split; empty where it is no choice."""
        return self.task or self.by_instruction.get(example.instruction, ())

    def set_on(self, example: Example) -> Example:
        """The example with its options."""
        options = self.of(example)
        return replace(example, options=options) if options else example


def find_options(train: Sequence[Example]) -> FoundOptions:
    """The options of a task whose answers are few, short, and come again and again.

    That is: 2 to `MOST` distinct answers, all references counted, of one line and at most `LONGEST` characters each,
    and each of them the answer of `FEWEST` examples or more, of one in a hundred where that is more, though `OFTEN`
    are always enough. Where the answers of the whole task aren't so, those to each of its instructions are looked at: a
    task that was put together from others may ask for a choice in one instruction, and for a summary in the next.

    Args:
        train: The whole train split, before any sampling. Where one of its examples has options, none are found.
    """
    if any(example.options for example in train):
        return FoundOptions()
    if options := _choice([example.outputs for example in train]):
        return FoundOptions(options)
    answers: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for example in train:
        answers[example.instruction].append(example.outputs)
    found = {instruction: _choice(outputs) for instruction, outputs in answers.items()}
    return FoundOptions(by_instruction={instruction: options for instruction, options in found.items() if options})


def _choice(answers: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for outputs in answers:
        counts.update({output.strip() for output in outputs})
        if len(counts) > MOST:
            return ()
    often = max(FEWEST, min(OFTEN, len(answers) / 100))
    fits = all(
        answer and len(answer) <= LONGEST and "\n" not in answer and count >= often for answer, count in counts.items()
    )
    return tuple(sorted(counts)) if fits and len(counts) > 1 else ()


def told(task: str, examples: Sequence[Example], test: Sequence[Example], origins: Iterable[str]) -> str:
    """One finding on a task's options; empty where none of its examples has any.

    Args:
        task: Its name.
        examples: Its train examples; those of its test split where it is never learned.
        test: Its test examples.
        origins: Where the options come from: ``found in its answers``, and so on.
    """
    sets = Counter(example.options for example in examples)
    choices = sum(count for options, count in sets.items() if options)
    if not choices:
        return ""
    how = ", ".join(dict.fromkeys(origin for origin in origins if origin))
    outside = sum(1 for e in test if e.options and not any(output.strip() in e.options for output in e.outputs))
    tail = f"; the answers of {outside} of {len(test)} test examples are none of them" if outside else ""
    if len(sets) == 1:
        (options,) = sets
        return f"task {task}: a choice among {len(options)} options ({listed(options)}), {how}{tail}"
    sets.pop((), None)
    (usual, count), sizes = sets.most_common(1)[0], sorted(map(len, sets))
    among = f"{sizes[0]} options" if sizes[0] == sizes[-1] else f"{sizes[0]} to {sizes[-1]} options"
    return (
        f"task {task}: {choices} of {len(examples)} examples are choices, among {among}, {how} (in {count} of "
        f"them: {listed(usual)}){tail}"
    )
