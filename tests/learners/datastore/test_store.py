from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inscl.contract.erased import Erased
from inscl.errors import ModelError
from inscl.learners.datastore.store import Datastore, Reference


def reference(task: str, name: str, length: int, answer: str = "yes") -> Reference:
    rng = np.random.default_rng(list(f"{task}{name}".encode()))
    keys = rng.normal(size=(length, 3)).astype(np.float32)
    values = rng.integers(0, 9, size=length)
    return Reference(task, name, answer, keys, values, -rng.random(length).astype(np.float32))


A, B, C = reference("one", "aa", 2), reference("one", "bb", 3, "n\u2028o"), reference("two", "aa", 1)


def files(store: Datastore, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    store.write(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_order_of_adding_leaves_no_trace(tmp_path: Path) -> None:
    one, other = Datastore([C]).adding([B]).adding([A]), Datastore([A, B, C])
    assert one.references == other.references == (A, B, C)
    assert files(one, tmp_path / "one") == files(other, tmp_path / "other")
    assert len(one) == 6
    assert one.firsts.tolist() == [0, 2, 5]
    assert np.array_equal(one.keys[one.firsts], [A.keys[0], B.keys[0], C.keys[0]])
    assert one.values.tolist() == [*A.values, *B.values, *C.values]


def test_what_is_there_stays_when_it_comes_again() -> None:
    again = Reference("one", "aa", "other", A.keys + 1, A.values, A.log_probabilities)
    assert Datastore([A, B]).adding([again]).references == (A, B)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    before = files(Datastore([A, B, C]), tmp_path / "one")
    found = Datastore.read(tmp_path / "one")
    assert files(found, tmp_path / "two") == before
    for mine, yours in zip(found.references, (A, B, C), strict=True):
        assert (mine.task, mine.id, mine.answer) == (yours.task, yours.id, yours.answer)
        for name in ("keys", "values", "log_probabilities"):
            assert np.array_equal(getattr(mine, name), getattr(yours, name))
            assert getattr(mine, name).dtype == getattr(yours, name).dtype
    assert b'"answer": "yes"' in before["datastore.safetensors"]
    files(Datastore(), tmp_path / "empty")
    assert Datastore.read(tmp_path / "empty").references == ()


@pytest.mark.parametrize(
    ("erased", "left"),
    [
        (Erased(tasks=frozenset({"one"})), (C,)),
        (Erased(ids=frozenset({"aa"})), (B,)),
        (Erased(ids=frozenset({"zz"}), instructions=frozenset({"yes", ""})), (A, B, C)),
        (Erased(tasks=frozenset({"one", "two"})), ()),
    ],
    ids=["task", "example", "nothing", "all"],
)
def test_what_is_forgotten_leaves_what_never_knew_it(
    tmp_path: Path, erased: Erased, left: tuple[Reference, ...]
) -> None:
    files(Datastore([A, B, C]), tmp_path / "one")
    for _ in range(2):
        Datastore.forget(tmp_path / "one", erased)
    found = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    if left:
        assert found == files(Datastore(left), tmp_path / "two")
    assert Datastore.read(tmp_path / "one").references == () or left


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    files(Datastore([A, B]), tmp_path / "one")
    file = tmp_path / "one" / "datastore.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"positions": 3', b'"positions": 2'))
    with pytest.raises(ModelError, match="is damaged: its arrays"):
        Datastore.read(tmp_path / "one")
    for damage in (b"no", whole.replace(b'{"task"', b'["task"')):
        file.write_bytes(damage)
        with pytest.raises(ModelError, match=r"can't read the datastore .*datastore\.safetensors"):
            Datastore.read(tmp_path / "one")
    with pytest.raises(ModelError, match=r"datastore\.safetensors"):
        Datastore.read(tmp_path)
