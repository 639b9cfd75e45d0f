"""A context: roles, weights, what an erasure leaves of it, and its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inscl.contract.erased import Erased
from inscl.errors import ModelError
from inscl.learners.context_tuning.context import Context

TYPES = np.array([2, 3, 4, 4, 0, 1, 6, 7, 8, 0, 5, 10, 11, 12, 0, 9])
CONTEXT = Context(
    "new",
    ("Do it.", "Do that."),
    (("new", "a"), ("old", "b"), ("new", "c")),
    (("new", "a"), ("old", "b"), ("new", "c"), ("new", "d")),
    np.arange(16) + 100,
    TYPES,
    np.arange(16, dtype=np.float32)[:, None] * np.ones((16, 2048), dtype=np.float32),
)


def test_roles_decide_how_far_a_token_may_move_and_distance_what_a_label_weighs() -> None:
    free = [0.2, 0.1, 0, 0, 0, 0.1, 0.2, 0.1, 0, 0, 0.1, 0.2, 0.1, 0, 0, 0.1]
    assert CONTEXT.radii(0.2, 0.1).tolist() == pytest.approx(free)
    small = replace(CONTEXT, delta=CONTEXT.delta[:, :512])
    assert small.radii(0.2, 0.1).tolist() == pytest.approx([one / 2 for one in free])
    assert CONTEXT.labels.tolist() == [2, 3, 8, 13]
    assert CONTEXT.decayed(0.5).tolist() == [0.125, 0.125, 0.25, 0.5]
    assert CONTEXT.blocks.tolist() == [0] * 6 + [1] * 5 + [2] * 5


def test_an_erased_demonstration_is_cut_out_and_what_was_tuned_with_it_is_undone() -> None:
    left = CONTEXT.without(Erased(ids={"b"}, instructions={"Do that."}))
    assert left.tokens.tolist() == [*range(100, 106), *range(111, 116)]
    assert left.types.tolist() == [2, 3, 4, 4, 0, 1, 6, 7, 8, 0, 5]
    assert left.demonstrations == (("new", "a"), ("new", "c"))
    assert left.taught == (("new", "a"), ("new", "c"), ("new", "d"))
    assert left.instructions == ("Do it.",)
    assert left.delta.shape == (11, 2048)
    assert (left.delta == 0).all()
    assert left.decayed(0.5).tolist() == [0.25, 0.25, 0.5]
    seen = CONTEXT.without(Erased(ids={"d"}))
    assert seen.tokens.tolist() == CONTEXT.tokens.tolist()
    assert (seen.delta == 0).all()
    assert CONTEXT.without(Erased(tasks={"old"})).demonstrations == left.demonstrations
    assert CONTEXT.without(Erased(ids={"x"}, tasks={"other"})) is CONTEXT
    assert CONTEXT.without(Erased(ids={"a", "b", "c"})).tokens.tolist() == []
    whole = CONTEXT.without(Erased(tasks={"new"}))
    assert (whole.task, len(whole.tokens), whole.instructions, whole.taught) == ("", 0, (), ())


def test_its_file_holds_all_of_it_and_one_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    CONTEXT.write(path)
    read = Context.read(path)
    read.write(other)
    assert path.read_bytes() == other.read_bytes()
    assert (read.task, read.instructions, read.demonstrations, read.taught) == (
        CONTEXT.task,
        CONTEXT.instructions,
        CONTEXT.demonstrations,
        CONTEXT.taught,
    )
    assert all(np.array_equal(getattr(read, name), getattr(CONTEXT, name)) for name in ("tokens", "types", "delta"))
    for broken in (replace(CONTEXT, tokens=CONTEXT.tokens[1:]), replace(CONTEXT, demonstrations=())):
        broken.write(other)
        with pytest.raises(ModelError, match="is damaged"):
            Context.read(other)
    other.write_bytes(path.read_bytes()[:-5])
    for place in (other, tmp_path / "none"):
        with pytest.raises(ModelError, match="can't read the context"):
            Context.read(place)
