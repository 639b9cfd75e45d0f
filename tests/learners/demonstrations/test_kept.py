from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inscl.contract import Example, Question
from inscl.contract.erased import Erased
from inscl.contract.example import Turn
from inscl.errors import WorkspaceError
from inscl.learners.demonstrations.kept import Kept, KeptTask
from inscl.testing.made import fake_embedder

TALK = Example("Be kind", "and you?", ("fine",), "second", turns=(Turn("system", "Be kind"), Turn("user", "and you?")))
FIRST = KeptTask(
    (Example("Say it.", "a\u2028", ("b", "c"), "first", metadata={"by": "x"}), Example("Sing.", "", ("d",), "first")),
    ("Say it.", "Sing.", "Hum\n\nsoftly."),
)
SECOND = KeptTask((TALK,), ("Be kind", "Sing."))
KEPT = Kept({"first": FIRST, "second": SECOND, "empty": KeptTask((), ("Nothing.",))})


def never(_: Sequence[str]) -> NDArray[np.float32]:
    raise AssertionError("known instructions need no vectors")


def test_a_learned_instruction_finds_its_task_and_of_several_the_last() -> None:
    questions = [
        Question("Say it.", "zzz", task="second"),
        Question("Sing."),
        Question("Be kind", "hm?", (Turn("system", "Be kind"), Turn("user", "hm?"))),
        # By hand: instruction, blank line, input in one text.
        Question("Say it.\n\nzzz"),
        Question("Hum\n\nsoftly.\n\na song\n\nof two lines"),
    ]
    assert KEPT.tasks_of(questions, never) == ["first", "second", "second", "first", "first"]


def test_an_instruction_never_seen_goes_to_the_task_of_the_nearest() -> None:
    questions = [Question("Say it!", "x"), Question("Sing."), Question("be Kindly")]
    assert KEPT.tasks_of(questions, fake_embedder) == ["first", "second", "second"]


def test_nothing_learned_no_task() -> None:
    assert Kept().tasks_of([Question("a"), Question("b")], never) == [None, None]


def test_files_are_read_as_they_were_written_and_are_the_same_bytes(tmp_path: Path) -> None:
    KEPT.write(tmp_path)
    found = Kept.read(tmp_path)
    assert found == KEPT
    assert list(found.tasks) == ["first", "second", "empty"]
    assert found.tasks["second"].demonstrations[0].turns == TALK.turns
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    found.write(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"instructions\.jsonl"):
        Kept.read(tmp_path)


@pytest.mark.parametrize(
    ("erased", "gone"),
    [
        (Erased(tasks={"first"}), {"first"}),
        (Erased(ids={TALK.id}), {"fine"}),
        (Erased(instructions={"Sing."}), {"Sing."}),
    ],
)
def test_forgetting_leaves_no_byte(tmp_path: Path, erased: Erased, gone: set[str]) -> None:
    KEPT.write(tmp_path)
    Kept.forget(tmp_path, erased)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(text.encode() in content for text in gone)
    found = Kept.read(tmp_path)
    for name, task in KEPT.tasks.items():
        stays = [one for one in task.demonstrations if not erased.takes(name, one.id, one.instruction)]
        assert list(found.tasks[name].demonstrations if name in found.tasks else ()) == stays
