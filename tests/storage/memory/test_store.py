from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pytest

from inscl.contract import Example, Task
from inscl.contract.example import Image, Turn
from inscl.errors import DataError, WorkspaceError
from inscl.storage.memory import table
from inscl.storage.memory.store import Erased, MemoryStore
from inscl.testing import made_task
from pictures import picture

ODD = Task(
    "odd",
    (
        Example("é \ud800", "in\x00put", ("a", "b"), "odd", "file:1"),
        Example("\0 leads", "", ("", "\udfff"), "odd"),
        Example("\0" + '"quoted"', "x" * 3_000, ("1",), "odd", "\ud800"),
        Example("é \ud800", "again", ("c",), "odd"),
    ),
    (Example("of the test split alone", "\ud800", ("z",), "odd"),),
    7,
)
A, B, C = made_task("a", 9), made_task("b", 12, instructions=4, test=3), made_task("c", 5)


def image(number: int) -> Image:
    return Image(f"{number}.png", sha256(picture(number)).hexdigest(), partial(picture, number))


def about(name: str, *numbers: int) -> Task:
    """A task whose train examples ask about one picture each, and its test example about the first two."""
    asked = [Example("Name it.", "", (f"thing {n}",), name, images=(image(n),)) for n in numbers]
    both = Example("Are they alike?", "", ("no",), name, images=tuple(map(image, numbers[:2])))
    return Task(name, tuple(asked), (both,))


P, Q = about("p", 1, 2, 3), about("q", 3, 4)
State = tuple[dict[str, tuple[Any, ...]], dict[str, bytes], dict[str, tuple[str, ...]]]


def state(path: Path | str, extra: Task | None = None) -> State:
    """Everything that a reader sees."""
    store = MemoryStore(path)
    tasks = dict(zip(store.keys(), map(store.task, store.keys()), strict=True))
    memory = store.memory([*tasks.values(), *([extra] if extra else [])])
    seen = {
        k: (t.name, tuple(t.train), tuple(t.test), t.max_new_tokens, t.instruction_counts) for k, t in tasks.items()
    }
    return seen, {text: vector.tobytes() for text, vector in memory.vectors.items()}, dict(memory.tags)


def holding(path: Path, text: str) -> list[Path]:
    """Files under `path` that hold a text as it is."""
    return [
        file for file in path.rglob("*") if file.is_file() and text.encode(errors="surrogatepass") in file.read_bytes()
    ]


@pytest.mark.parametrize("scheme", ["", "file-object-store://"])
def test_tasks_vectors_and_tags_come_back_as_they_were(tmp_path: Path, scheme: str) -> None:
    place = f"{scheme}{tmp_path}/memory" if scheme else tmp_path / "memory"
    vectors = {"\0 leads": np.array([0.1, -2, 3e-38, np.nan], dtype=np.float32), "of no task": np.zeros(0, np.float32)}
    MemoryStore(place).add("first", ODD, vectors, {"é \ud800": ("x", "\ud801y"), "\0 leads": ()})
    MemoryStore(place).add("second", A, {}, {})
    store = MemoryStore(place)
    assert store.keys() == ("first", "second")
    assert store.task("first") == ODD
    assert tuple(ODD.train) == store.task("first").train
    assert (store.task("first").max_new_tokens, store.task("second").max_new_tokens) == (7, None)
    memory = store.memory([ODD])
    assert memory.tasks == (ODD,)
    assert {text: vector.tobytes() for text, vector in memory.vectors.items()} == {
        "\0 leads": vectors["\0 leads"].tobytes()
    }
    assert memory.tags == {"é \ud800": ("x", "\ud801y"), "\0 leads": ()}
    assert store.verify() == []
    with pytest.raises(WorkspaceError, match="no task under 'third'"):
        store.task("third")


def test_what_few_examples_have_comes_back_too(tmp_path: Path) -> None:
    turns = (Turn("system", "be \ud800"), Turn("user", "a"), Turn("assistant", "b", learn=True), Turn("user", "c"))
    full = Example(
        "be \ud800",
        "c",
        ("d",),
        "chat",
        "file:1",
        turns,
        ("d", "e"),
        (image(1),),
        {"weight": 0.5, "tags": ["x", None]},
        {"parent": ["0123456789abcdef"], "refiner": "mine", "version": "1", "how": {}},
    )
    task = Task("chat", (full, Example("plain", "", ("x",), "chat")), (full,))
    MemoryStore(tmp_path).add("1", task, {}, {})
    kept = MemoryStore(tmp_path).task("1")
    assert kept.train[0] == full
    assert (kept.train[0].metadata, kept.train[0].provenance) == (full.metadata, full.provenance)
    assert kept == task
    assert kept.train_ids == task.train_ids
    assert MemoryStore(tmp_path).erase([], lambda example: "b" in example.texts).examples == {"1": 2}
    assert len(MemoryStore(tmp_path).task("1").train) == 1


def test_a_memory_that_was_never_written_is_empty_and_stays_absent(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "memory")
    assert store.keys() == ()
    assert store.verify() == []
    assert store.memory([A]).vectors == {}
    assert not (tmp_path / "memory").exists()


def test_reading_writes_nothing(tmp_path: Path) -> None:
    MemoryStore(tmp_path).add("1", B, {text: np.ones(2, np.float32) for text in B.instructions}, {})

    def seen() -> dict[str, tuple[int, bytes]]:
        return {str(f): (f.stat().st_mtime_ns, f.read_bytes()) for f in tmp_path.rglob("*") if f.is_file()}

    before = seen()
    state(tmp_path)
    assert MemoryStore(tmp_path).verify() == []
    assert seen() == before


def test_a_task_written_again_replaces_itself(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.add("1", A, {}, {})
    store.add("1", C, {}, {})
    assert store.keys() == ("1",)
    assert store.task("1") == C
    assert not holding(tmp_path, "of a")


def test_other_examples_take_the_place_of_a_train_split(tmp_path: Path) -> None:
    store, (first, *_) = MemoryStore(tmp_path), B.instructions
    gone = {text: np.ones(2, np.float32) for text in A.instructions}
    for key, task in (("1", B), ("2", A), ("3", C)):
        store.add(key, task, {first: np.zeros(2, np.float32), **gone}, dict.fromkeys(gone, ("tag",)))
    old = store.task("2")
    store.replace_train("2", [Example(first, "", ("",), A.name)])
    assert store.keys() == ("1", "2", "3")
    assert store.task("2") == Task(A.name, (Example(first, "", ("",), A.name),), A.test)
    assert (store.task("1"), store.task("3")) == (B, C)
    texts = {example.input for example in A.train} - {example.input for task in (A, B, C) for example in task.test}
    assert texts
    assert not any(holding(tmp_path, text) for text in texts)
    left = {text for task in (B, C, store.task("2")) for text in task.instructions}
    left |= {example.instruction for example in A.test}
    assert set(store.memory([A, B]).vectors) == {first, *gone} & left
    with pytest.raises(WorkspaceError):
        list(old.train)
    store.replace_train("2", [])
    assert (len(store.task("2").train), store.task("2").test) == (0, A.test)


def test_a_task_without_examples(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.add("1", Task("empty", ()), {}, {})
    assert store.task("1") == Task("empty", ())
    assert store.task("1").instructions == ()


def test_what_was_known_of_an_instruction_is_added_to(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    text, other = "do the c job in way 0", "do the c job in way 1"
    store.learn_facts({text: np.ones(2, np.float32)}, {other: ("old",)})
    store.add("1", C, {}, {text: ("tag",)})
    store.learn_facts({}, {other: ("new",)})
    memory = store.memory([C])
    assert memory.vectors[text].tolist() == [1, 1]
    assert memory.tags == {text: ("tag",), other: ("new",)}


def test_many_stages_leave_few_files_and_all_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_FRAGMENTS", 3)
    store = MemoryStore(tmp_path)
    for k in range(7):
        store.learn_facts({f"q{k}": np.full(3, k, np.float32)}, {f"q{k}": (str(k),)})
    asked = Task("t", tuple(Example(f"q{k}", "", ("",)) for k in range(7)))
    assert [int(store.memory([asked]).vectors[f"q{k}"][0]) for k in range(7)] == list(range(7))
    assert len(list((tmp_path / "facts.lance" / "data").iterdir())) <= 3


def test_tasks_in_hand_can_be_read_while_others_are_written(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.add("1", A, {}, {})
    held = store.task("1")
    writer = MemoryStore(tmp_path)
    for k in range(3):
        writer.add(f"more{k}", C, {}, {})
    writer.drop(["more0"])
    assert held == A
    assert held.instruction_counts == A.instruction_counts


def test_a_dropped_task_leaves_the_disk(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.add("1", A, {}, {})
    store.add("2", B, {}, {})
    store.learn_facts({}, dict.fromkeys((*A.instructions, *B.instructions, "not yet used"), ("tag",)))
    assert holding(tmp_path, "input 3 of b")
    store.drop(["2", "unknown"])
    assert store.keys() == ("1",)
    assert store.task("1") == A
    assert not holding(tmp_path, "of b")
    assert not holding(tmp_path, "the b job")
    assert set(store.memory([A, B, Task("new", (Example("not yet used", "", ("",)),))]).tags) == {
        *A.instructions,
        "not yet used",
    }
    assert store.verify() == []


def test_an_erased_text_is_in_no_file_and_the_rest_stays(tmp_path: Path) -> None:
    secret = "Jane Roe, 12 Elm Street"
    spoken = Task(
        "c",
        (
            *C.train,
            Example("ask about Jane Roe, 12 Elm Street", "x", ("y",), "c"),
            Example(C.train[0].instruction, secret, ("y",), "c"),
        ),
        (
            *C.test,
            Example("a third", "x", ("no", f"it was {secret}"), "c"),
            Example("a third", "x", ("no",), "c", secret),
        ),
    )
    texts = [*spoken.instructions, "a third", f"not yet used: {secret}"]
    store = MemoryStore(tmp_path)
    store.add("1", A, {}, {})
    store.add("2", spoken, {t: np.ones(2, np.float32) for t in texts}, {t: (f"tag {t}",) for t in texts})
    assert holding(tmp_path, secret)
    assert store.erase(["3"]) == Erased()
    found = store.erase([], lambda example: any(secret in text for text in example.texts), lambda text: secret in text)
    assert found.examples == {"2": 4}
    assert set(found.instructions) == {f"ask about {secret}", "a third", f"not yet used: {secret}"}
    assert not holding(tmp_path, secret)
    assert not holding(tmp_path, "Jane")
    assert store.task("2") == C
    assert store.task("1") == A
    assert set(store.memory([spoken]).tags) == set(C.instructions)


def test_erasing_whole_tasks(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    shared = Example(A.train[0].instruction, "also here", ("",), "c")
    store.add("1", A, {text: np.ones(2, np.float32) for text in A.instructions}, {})
    store.add("2", Task("c", (*C.train, shared)), {}, {})
    gone = A.instructions[1:]
    assert store.erase(["1"]) == Erased({"1": 10}, gone)
    assert store.keys() == ("2",)
    assert set(store.memory([A]).vectors) == {shared.instruction}
    assert not holding(tmp_path, "of a")
    assert store.erase(["1"]) == Erased()


def test_whole_tasks_and_single_examples_go_in_one_write(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.add("1", A, {}, {})
    store.add("2", C, {}, {})
    one = C.train[0].input
    assert store.erase(["1"], lambda example: example.input == one) == Erased({"1": 10, "2": 1})
    assert store.keys() == ("2",)
    assert store.task("2").train == C.train[1:]
    assert not holding(tmp_path, one)


@pytest.mark.parametrize("scheme", ["", "file-object-store://"])
def test_a_picture_is_kept_once_and_goes_with_its_last_example(tmp_path: Path, scheme: str) -> None:
    place = f"{scheme}{tmp_path}/memory" if scheme else tmp_path / "memory"

    def kept() -> list[int]:
        files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
        return [sum(content.count(picture(n)) for content in files) for n in range(1, 5)]

    store = MemoryStore(place)
    store.add("1", P, {}, {})
    held = store.task("1")
    store.add("2", Q, {}, {})
    assert held.train[0].images[0].content == picture(1)
    assert kept() == [1, 1, 1, 1]
    assert (store.task("1"), store.task("2")) == (P, Q)
    assert [one.images[0].content for one in store.task("2").train] == [picture(3), picture(4)]
    assert [one.content for one in store.task("1").test[0].images] == [picture(1), picture(2)]
    assert store.verify() == []
    store.erase([], lambda example: example.output == "thing 1")
    assert kept() == [1, 1, 1, 1], "the test example still asks about it"
    store.erase([], lambda example: any(one.digest == image(1).digest for one in example.images))
    assert kept() == [0, 1, 1, 1]
    assert [one.images[0].content for one in store.task("1").train] == [picture(2), picture(3)]
    store.add("1", about("p", 2, 2), {}, {})
    assert kept() == [0, 1, 1, 1]
    store.replace_train("2", [])
    assert kept() == [0, 1, 1, 1], "its test example asks about both"
    store.drop(["2"])
    assert kept() == [0, 1, 0, 0]
    store.replace_train("1", P.train[1:2])
    assert kept() == [0, 1, 0, 0]
    recorded = Example.from_json(P.train[1].to_json())
    assert recorded.images[0].read is None
    assert store.with_pictures(recorded).images[0].content == picture(2)
    with pytest.raises(WorkspaceError, match="is missing"):
        _ = store.with_pictures(P.train[0]).images[0].content
    store.erase(["1"])
    assert kept() == [0, 0, 0, 0]
    assert store.verify() == []


def test_a_picture_that_changed_before_it_was_kept_leaves_the_memory_as_it_was(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.add("1", A, {}, {})
    assert '"schema": 1,' in (tmp_path / "memory.json").read_text(), "what a former version can read, it may"
    before = state(tmp_path)
    changed = replace(P.train[0], images=(replace(image(1), read=partial(picture, 9)),))
    with pytest.raises(DataError, match=r"1\.png: the picture has changed since it was read"):
        store.add("2", Task("p", (changed,)), {}, {})
    assert state(tmp_path) == before
    store.add("2", P, {}, {})
    assert '"schema": 3,' in (tmp_path / "memory.json").read_text()
    assert store.task("2") == P


def test_a_damaged_picture_is_found(tmp_path: Path) -> None:
    MemoryStore(tmp_path).add("1", P, {}, {})
    (file,) = [file for file in tmp_path.rglob("*.lance") if file.is_file() and picture(2) in file.read_bytes()]
    content = file.read_bytes()
    file.write_bytes(content.replace(picture(2), picture(2)[:-1] + b"?"))
    (damaged,) = MemoryStore(tmp_path).verify()
    assert "pictures.lance" in damaged
    with pytest.raises(WorkspaceError, match="its content has changed"):
        _ = MemoryStore(tmp_path).task("1").train[1].images[0].content


class Killed(BaseException):
    """What a SIGKILL looks like to a test: nothing handles it."""


def kill(monkeypatch: pytest.MonkeyPatch, point: int) -> None:
    """Kill at the n-th moment before or after a step that changes the disk."""
    moments = iter(range(10_000))

    def pass_moment() -> None:
        if next(moments) == point:
            raise Killed

    def watch(owner: Any, name: str, wrap: Callable[[Any], Any] = lambda f: f) -> None:
        original = getattr(owner, name)

        def watched(*arguments: Any, **keywords: Any) -> Any:
            pass_moment()
            found = original(*arguments, **keywords)
            pass_moment()
            return found

        monkeypatch.setattr(owner, name, wrap(watched))

    watch(lance, "write_dataset")
    watch(lance.LanceDataset, "commit", staticmethod)
    watch(lance.LanceDataset, "restore")
    watch(lance.LanceDataset, "cleanup_old_versions")
    watch(Path, "unlink")
    watch(Path, "replace")


WRITES: dict[str, Callable[[MemoryStore], object]] = {
    "add": lambda store: store.add("3", C, {C.instructions[0]: np.zeros(2, np.float32)}, {}),
    "replace": lambda store: store.add("2", C, {}, {}),
    "learn": lambda store: store.learn_facts({C.instructions[0]: np.zeros(2, np.float32)}, {}),
    "drop": lambda store: store.drop(["2"]),
    "erase": lambda store: store.erase([], lambda example: "way 1" in example.instruction),
    "erase pictures": lambda store: store.erase([], lambda example: image(1) in example.images),
}


@pytest.mark.parametrize("write", WRITES)
def test_killed_anywhere_a_reader_sees_the_old_state_or_the_new_and_the_next_write_goes_through(
    tmp_path: Path, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    for key, task in (("1", A), ("2", P if write == "erase pictures" else B)):
        MemoryStore(begun).add(key, task, {text: np.ones(2, np.float32) for text in task.instructions}, {})
    old = state(begun, C)
    shutil.copytree(begun, whole)
    WRITES[write](MemoryStore(whole))
    new = state(whole, C)
    kinds = sorted(file.suffix for file in whole.rglob("*.*"))
    seen = []
    # Every third moment, to be quick; with a step of 1 it goes through all of them.
    for point in range(0, 1000, 3):
        folder = Path(shutil.copytree(begun, tmp_path / str(point)))
        with monkeypatch.context() as patched:
            kill(patched, point)
            try:
                WRITES[write](MemoryStore(folder))
                break
            except Killed:
                pass
        found = state(folder, C)
        assert found in (old, new)
        seen.append(found == new)
        assert MemoryStore(folder).verify() == []
        WRITES[write](MemoryStore(folder))
        assert state(folder, C) == new
        # Leftovers don't pile up, and no text stays that was to go.
        assert sorted(file.suffix for file in folder.rglob("*.*")) == kinds
        assert write != "erase pictures" or not any(
            picture(1) in f.read_bytes() for f in folder.rglob("*") if f.is_file()
        )
        assert not holding(folder, {"drop": "the b job", "erase": "b job in way 1"}.get(write, "of nobody"))
    assert seen == sorted(seen)
    assert {False, True} == set(seen)


def test_what_was_half_written_is_deleted_by_the_next_write(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path)
    store.learn_facts({"q": np.ones(2, np.float32)}, {})
    # Of a table that counts already, and of one that was just begun.
    for name in ("facts", "examples"):
        for place in ("data/half.lance", "_transactions/0-half.txn"):
            file = tmp_path / f"{name}.lance" / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("half a secret")
    (tmp_path / ".memory.json.abc.part").write_text("half a secret")
    store.add("1", A, {}, {})
    assert not holding(tmp_path, "half a secret")
    assert store.task("1") == A


def test_killed_in_the_very_first_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MemoryStore(tmp_path / "whole").add("1", A, {A.instructions[0]: np.ones(2, np.float32)}, {})
    new = state(tmp_path / "whole", A)
    for point in range(1000):
        folder = tmp_path / str(point)
        with monkeypatch.context() as patched:
            kill(patched, point)
            try:
                MemoryStore(folder).add("1", A, {A.instructions[0]: np.ones(2, np.float32)}, {})
                break
            except Killed:
                pass
        assert state(folder, A) in (({}, {}, {}), new)
        MemoryStore(folder).add("1", A, {A.instructions[0]: np.ones(2, np.float32)}, {})
        assert state(folder, A) == new
        assert MemoryStore(folder).verify() == []
    assert point > 8


def test_a_lost_commit_point_is_told_and_nothing_is_written_over(tmp_path: Path) -> None:
    MemoryStore(tmp_path).add("1", A, {}, {})
    kept = (tmp_path / "memory.json").read_bytes()
    (tmp_path / "memory.json").unlink()
    for attempt in (lambda s: s.keys(), lambda s: s.add("2", B, {}, {}), lambda s: s.memory([A])):
        with pytest.raises(WorkspaceError, match=r"memory\.json is missing"):
            attempt(MemoryStore(tmp_path))
    assert "memory.json" in MemoryStore(tmp_path).verify()[0]
    (tmp_path / "memory.json").write_bytes(kept)
    assert MemoryStore(tmp_path).task("1") == A


def test_a_process_killed_by_the_system_loses_nothing_that_it_had_said_was_written(tmp_path: Path) -> None:
    code = (
        "import sys; from inscl.testing import made_task; from inscl.storage.memory.store import MemoryStore\n"
        "store = MemoryStore(sys.argv[1])\n"
        "for k in range(len(store.keys()), 1000):\n"
        "    store.add(f'{k:04d}', made_task(f'task{k}', 30), {}, {}); print(k, flush=True)\n"
    )
    said = -1
    for wait in (0.0, 0.013, 0.03):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            said = int(process.stdout.readline())
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            said = int((process.stdout.read().split() or [said])[-1])
        store = MemoryStore(tmp_path)
        assert store.verify() == []
        assert len(store.keys()) in (said + 1, said + 2)
        assert list(map(store.task, store.keys())) == [made_task(f"task{k}", 30) for k in range(len(store.keys()))]


def test_a_full_disk_is_told_and_the_old_state_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(tmp_path)
    store.add("1", A, {}, {})
    before = state(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(lance, "write_dataset", full)
        with pytest.raises(WorkspaceError, match=r"can't be written: No space left.*as it was before"):
            store.add("2", B, {}, {})
    assert state(tmp_path) == before


def test_lance_is_loaded_when_a_memory_is_touched_and_torch_never(tmp_path: Path) -> None:
    code = (
        "import sys; from inscl.storage.memory.store import MemoryStore; from inscl.testing import made_task\n"
        "assert 'lance' not in sys.modules and 'pyarrow' not in sys.modules\n"
        "store = MemoryStore(sys.argv[1]); assert store.keys() == () and 'lance' not in sys.modules\n"
        "store.add('1', made_task('a', 5), {}, {}); list(store.task('1').train)\n"
        "assert 'lance' in sys.modules and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "memory")], check=True)
