from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inscl.errors import WorkspaceError
from inscl.storage.run import stage_record
from inscl.storage.run.progress import Answers
from inscl.storage.run.stage_record import Record


class Killed(BaseException):
    pass


def recorded(folder: Path) -> Record:
    """A stage that counts, with a record of every kind."""
    record = Record(folder / "01-a", 1, "a")
    record.begin()
    record.write("plan.json", {"picks": 0})
    record.write_rows("predictions/a.jsonl", [{"id": "x"}])
    record.write_scores({"a": {"m": {"mean": 1.0}}})
    record.model.mkdir()
    (record.model / "weights").write_bytes(b"01234")
    record.finish()
    return record


@pytest.mark.parametrize("name", ["plan.json", "predictions/a.jsonl", "scores.json", "model/weights"])
@pytest.mark.parametrize("how", ["cut", "bit", "gone"])
def test_damage_is_named_when_the_file_is_used(tmp_path: Path, name: str, how: str) -> None:
    record = recorded(tmp_path)
    assert record.damaged() == {}
    path = record.path / name
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if how == "cut" else bytes([content[0] ^ 4]) + content[1:])
    assert list(record.damaged()) == [name]
    uses: dict[str, Any] = {
        "plan.json": lambda: record.read("plan.json"),
        "predictions/a.jsonl": lambda: record.rows(name),
        "scores.json": record.scores,
        "model/weights": lambda: record.check("model"),
    }
    with pytest.raises(WorkspaceError, match=f"{name} is .*remove the file DONE"):
        uses[name]()


def test_a_damaged_seal_is_named(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    done = record.path / "DONE"
    good = done.read_bytes()
    for content in (b"", good[:-5], good.replace(b"plan", b"plbn", 1), b"[]", b"\xff"):
        done.write_bytes(content)
        assert record.done
        assert list(record.damaged()) == ["DONE"]
        with pytest.raises(WorkspaceError, match="DONE is damaged"):
            record.scores()


@pytest.mark.parametrize("calls", [0, 1, 2])
def test_a_record_of_a_stage_that_counts_can_be_replaced_and_interrupted(
    tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, made = recorded(tmp_path), 0
    real = stage_record.write_text

    def dying(path: Path, text: str) -> None:
        nonlocal made
        if made == calls and path.name != "DONE":
            raise Killed
        made += path.name != "DONE"
        real(path, text)

    monkeypatch.setattr(stage_record, "write_text", dying)
    for value in (2.0, 3.0):
        try:
            record.write_scores({"a": {"m": {"mean": value}}})
        except Killed:
            break
    assert record.scores()["a"]["m"]["mean"] == 1.0 + calls
    assert record.damaged() == {}
    monkeypatch.undo()
    record.finish()
    files = json.loads((record.path / "DONE").read_text())["files"]
    assert [len(sums) for sums in files.values()] == [1] * len(files)


def test_weights_that_are_dropped_are_not_missed(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    assert record.keeps_model
    record.drop_model()
    assert not record.model.exists()
    assert not record.keeps_model
    assert record.damaged() == {}


def test_beginning_again_keeps_what_the_same_attempt_finished(tmp_path: Path) -> None:
    record = Record(tmp_path / "01-a", 1, "a")
    record.begin()
    progress = record.progress(["settings"])
    record.write("learn.json", {"loss": 1})
    record.write("plan.json", {})
    record.model.mkdir()
    (record.model / "weights").write_bytes(b"1")
    progress.keep_learned(["learn.json", "model"], 2.5)
    Answers(progress.answers, "question").keep("0", ["yes"])
    record.begin()
    assert not (record.path / "plan.json").exists()
    again = record.progress(["settings"])
    assert again.learned is not None
    assert again.learned["seconds"] == 2.5
    assert Answers(again.answers, "question").read() == {"0": ["yes"]}
    assert Answers(again.answers, "another").read() == {}
    other = record.progress(["other settings"])
    assert other.learned is None
    assert not record.model.exists()
    assert Answers(other.answers, "question").read() == {}
    record.finish()
    assert sorted(path.name for path in record.path.iterdir()) == ["DONE"]


def test_what_a_damaged_model_left_is_not_gone_on_from(tmp_path: Path) -> None:
    record = Record(tmp_path / "01-a", 1, "a")
    record.begin()
    progress = record.progress("x")
    record.model.mkdir()
    (record.model / "weights").write_bytes(b"1")
    progress.keep_learned(["model"], 0)
    Answers(progress.answers, "q").keep("0", ["yes"])
    (record.model / "weights").write_bytes(b"2")
    record.begin()
    again = record.progress("x")
    assert again.learned is None
    assert not record.model.exists()
    assert Answers(again.answers, "q").read() == {"0": ["yes"]}


def test_a_line_that_was_cut_or_changed_loses_no_other(tmp_path: Path) -> None:
    answers = Answers(tmp_path, "q")
    for part in "012":
        answers.keep(part, [f"answer {part}", "\ud800"])
    good = answers.path.read_bytes()
    answers.path.write_bytes(good[:-9])
    assert answers.read() == {part: [f"answer {part}", "\ud800"] for part in "01"}
    answers.keep("2", ["again"])
    assert answers.read()["2"] == ["again"]
    answers.path.write_bytes(good.replace(b"answer 1", b"answer 7"))
    assert set(answers.read()) == {"0", "2"}


def test_finishing_again_hides_no_damage(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    (record.model / "weights").write_bytes(b"x1234")
    (record.path / "plan.json").unlink()
    record.write_scores({"a": {"m": {"mean": 2.0}}})
    record.write_rows("predictions/b.jsonl", [])
    record.finish()
    assert sorted(record.damaged()) == ["model/weights", "plan.json"]
    assert record.scores()["a"]["m"]["mean"] == 2.0


def test_a_state_that_is_changed_is_whole_whenever_that_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = recorded(tmp_path)
    (record.model / "more").write_bytes(b"more")
    record.finish()

    def change(folder: Path) -> None:
        assert folder != record.model
        (folder / "weights").write_bytes(b"changed")
        (folder / "more").write_bytes(b"changed, too")

    def killed(folder: Path) -> None:
        (folder / "weights").write_bytes(b"half")
        raise Killed

    with pytest.raises(Killed):
        record.change_model(killed)
    assert record.damaged() == {}
    allow, allowed = Record._allow, []

    def second(self: Record, name: str, checksum: str) -> None:
        allowed.append(name)
        if len(allowed) == 2:
            raise Killed
        allow(self, name, checksum)

    with monkeypatch.context() as patch:
        patch.setattr(Record, "_allow", second)
        with pytest.raises(Killed):
            record.change_model(change)
    assert record.damaged() == {}
    assert record.change_model(change) == 1
    record.finish()
    assert (record.model / "weights").read_bytes() == b"changed"
    assert (record.model / "more").read_bytes() == b"changed, too"
    assert record.damaged() == {}
    assert not (record.path / "progress").exists()
    assert record.change_model(change) == 0


def test_a_state_that_is_damaged_is_not_changed(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    (record.model / "weights").write_bytes(b"01235")
    with pytest.raises(WorkspaceError, match="model/weights is damaged"):
        record.change_model(lambda folder: (folder / "weights").unlink())
    assert (record.model / "weights").read_bytes() == b"01235"


def test_files_that_are_dropped_are_never_missed(tmp_path: Path) -> None:
    record = recorded(tmp_path)
    record.drop_files(["predictions/a.jsonl"])
    assert not (record.path / "predictions" / "a.jsonl").exists()
    assert record.damaged() == {}
    record.finish()
    assert record.damaged() == {}
    assert not record.has("predictions/a.jsonl")
