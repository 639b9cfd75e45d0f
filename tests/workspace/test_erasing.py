"""Erased is erased: a search for the text in every file finds nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import inscl
from inscl import Workspace, load_stream, write_report
from inscl.contract import Answer, Example, Question
from inscl.contract.example import Turn
from inscl.data.export import Layout, write_training_file
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.engine.listening_stage import listening_stage
from inscl.errors import UserError
from inscl.handover import export
from inscl.storage.files.atomic import read_json, read_jsonl, write_jsonl
from inscl.storage.files.cache import Cache
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.run_folder import Record
from inscl.workspace import erasing
from pictures import picture
from workspace.conftest import SETTINGS, content, everything
from workspace.stub import Stub


def found(text: str, *folders: Path) -> list[str]:
    """Files that hold a text, as UTF-8 or as JSON escapes it."""
    needles = (text.encode(), text.encode("utf-16-le"))
    return [
        name for folder in folders for name, content in everything(folder).items() if any(n in content for n in needles)
    ]


@pytest.fixture
def workspace_with_secrets(learned: Workspace, data: Callable[..., Path]) -> Workspace:
    """Stage 4 learns a secret, stage 5 replays it and is rolled back, stage 5 comes again."""
    secret = data("first", word="Zanzibar-Quokka")
    secret.write_text(secret.read_text().replace("Do the first job.", "Do the first job for Xylophonist Vandenplas."))
    learned.learn(secret)
    learned.learn(data("double"))
    learned.rollback(4)
    learned.learn(data("double"), budget=20)
    write_report([learned.path])
    # What a user may put inside: plans for another trainer.
    inscl.plan_stream(learned.path / "inscl.yaml", learned.path / "plans", task="double")
    return learned


def test_a_task_goes_from_every_file_and_numbers_stay(workspace_with_secrets: Workspace, tmp_path: Path) -> None:
    workspace, cache = workspace_with_secrets, tmp_path / "cache"
    # The stub's answers are the inputs' first letters; its plans, rows and answers hold the rest.
    assert found("Zanzibar", workspace.path)
    assert found("Xylophonist", workspace.path)
    before, scores = content(workspace.path), (workspace.path / "scores.json").read_bytes()
    look = workspace.erase("first", dry_run=True)
    assert content(workspace.path) == before
    done = workspace.erase("first")
    assert look.examples == done.examples == {"first": 20}
    assert look.trained == done.trained
    named = [(stage.stage, stage.task, stage.discarded, stage.how) for stage in done.trained]
    assert named == [
        (4, "first", None, "learned"),
        (5, "double", None, "replayed"),
        (5, "double", 1, "replayed"),
    ]
    assert found("Zanzibar", workspace.path, cache) == []
    assert found("Xylophonist", workspace.path, cache) == []
    assert found("vandenplas", workspace.path, cache) == []
    assert (workspace.path / "scores.json").read_bytes() == scores
    task = workspace.status().tasks[3]
    assert (task.name, task.train + task.test, task.erased) == ("first", 20, 20)
    assert workspace.status().problems == ()
    plan = read_json(workspace.path / "stages" / "05-double" / "plan.json")
    share = next(share for share in plan["tasks"] if share["task"] == "first")
    assert share["allocation"] > 0
    assert share["instructions"] == []
    assert workspace.log()[-1].facts["examples"] == {"first": 20}


def test_what_was_put_in_place_of_a_key_part_goes_with_its_instruction(learned: Workspace) -> None:
    listening_stage(learned.path, examples=3)
    file = learned.path / "stages" / "03-length" / "listening.jsonl"
    assert {row["task"] for row in read_jsonl(file) if "upper" in row["other"]} == {"length"}
    learned.erase("upper")
    assert found("the upper job", learned.path) == []
    assert {row["task"] for row in read_jsonl(file)} == {"backwards"}
    assert learned.status().problems == ()
    learned.erase(match="rowdrow")  # an answer, of the question as it is and of the others
    assert [row for row in read_jsonl(file) if "rowdrow" in f"{row['without']}{row['swapped']}"] == []


def test_key_parts_of_an_instruction_go_from_plans(
    tmp_path: Path, model: Path, stub: None, data: Callable[..., Path]
) -> None:
    workspace = Workspace.init(tmp_path / "ws", str(model), changes=[*SETTINGS, "replay.strategy=kpig"])
    secret = data("first")
    secret.write_text(secret.read_text().replace("Do the", "For Xylophonist Vandenplas, do the"))
    for file in (data("length"), secret, data("upper")):
        workspace.learn(file)
    plan = workspace.path / "stages" / "03-upper" / "plan.json"
    assert read_json(plan)["tasks"][1]["reason"]["masked"] == ["For Xylophonist Vandenplas,"]
    workspace.erase("first")
    assert found("Xylophonist", workspace.path) == []
    for share, masked in zip(read_json(plan)["tasks"], (["Do the length job."], []), strict=True):
        assert share["reason"]["masked"] == masked
        assert share["reason"]["information_gain"] > 0
    assert workspace.status().problems == ()


def test_it_goes_on_learning_without_what_was_erased(
    workspace_with_secrets: Workspace, data: Callable[..., Path]
) -> None:
    workspace_with_secrets.erase("first")
    done = workspace_with_secrets.learn(data("upper", rows=12, word="more"), name="upper-2")
    assert done.status.tasks[-1].scores["exact_match"].now == 0.0 or done.learned == ("upper-2",)
    stage = workspace_with_secrets.path / "stages" / "06-upper-2"
    assert "first" not in {row["task"] for row in read_jsonl(stage / "replay.jsonl")}
    assert not (stage / "predictions" / "first.jsonl").exists()
    assert workspace_with_secrets.gate(max_forgetting=100).passed
    assert write_report([workspace_with_secrets.path]).exists()


def test_what_an_expression_finds_goes_and_the_rest_stays(workspace_with_secrets: Workspace, tmp_path: Path) -> None:
    workspace = workspace_with_secrets
    names = MemoryStore(workspace.path / "memory").keys()
    gone = workspace.erase(match="Quokkaword1[0-9]?$")
    # word1 and word10 to word19
    assert gone.examples == {"first": 11}
    assert [name for name in everything(workspace.path) if found('Quokkaword1"', workspace.path)] == []
    assert found("Zanzibar-Quokkaword15", workspace.path, tmp_path / "cache") == []
    assert found("Zanzibar-Quokkaword2", workspace.path)
    assert MemoryStore(workspace.path / "memory").keys() == names
    assert workspace.erase(match="Quokkaword1[0-9]?$").examples == {}
    assert "Quokka" not in (workspace.path / "log.txt").read_text() + (workspace.path / "workspace.json").read_text()
    everywhere = workspace.erase(match="(?i)xylophonist")
    assert everywhere.examples == {"first": 9}
    assert found("Xylophonist", workspace.path, tmp_path / "cache") == []


def test_an_expression_may_span_instruction_and_input(learned: Workspace) -> None:
    expression = r"job\.\s+upperword3$"
    assert learned.erase(match=expression, dry_run=True).examples == {"upper": 1}
    assert learned.erase(match=expression).examples == {"upper": 1}
    store = MemoryStore(learned.path / "memory")
    kept = store.task(store.keys()[0])
    assert "upperword3" not in {example.input for split in (kept.train, kept.test) for example in split}


def test_caches_forget_instructions_and_their_tags(workspace_with_secrets: Workspace, tmp_path: Path) -> None:
    def rows(name: str) -> int:
        with sqlite3.connect(tmp_path / "cache" / name) as connection:
            return int(connection.execute("SELECT count(*) FROM cache").fetchone()[0])

    before = rows("embeddings.sqlite"), rows("tags.sqlite")
    done = workspace_with_secrets.erase("first")
    assert (rows("embeddings.sqlite"), rows("tags.sqlite")) == (before[0] - 1, before[1] - 1)
    assert done.cached == 2


def test_answers_of_an_interrupted_evaluation_go(learned: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def saw(self: Stub, questions: list[Question], max_new_tokens: int = 64) -> list[Answer]:
        return [Answer(f"I saw {question.prompt}") for question in questions]

    monkeypatch.setattr(Stub, "answer", saw)
    with monkeypatch.context() as patch:
        patch.setattr(Record, "write_rows", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluate_stage(learned.path, 1)
    assert any("progress" in name for name in found("I saw", learned.path))
    learned.erase(match="lengthword")
    assert found("lengthword", learned.path) == []


def test_caches_forget_whatever_a_strategy_embeds(
    workspace: Workspace, data: Callable[..., Path], tmp_path: Path
) -> None:
    workspace.learn(data("upper"))
    workspace.learn(data("backwards"), strategy="prototype_data")
    cache = tmp_path / "cache" / "embeddings.sqlite"

    def cached() -> int:
        with sqlite3.connect(cache) as connection:
            producers = [str(row[0]) for row in connection.execute("SELECT fingerprint FROM producers")]
        prompts = [f"Do the upper job.\n\nupperword{k}" for k in range(20)]
        return sum(len(Cache(cache, producer).get(prompts)) for producer in producers)

    assert cached() == workspace.status().tasks[0].train
    assert workspace.erase("upper").cached >= workspace.status().tasks[0].train
    assert cached() == 0


@pytest.mark.parametrize("step", ["clean_caches", "_counted"])
@pytest.mark.parametrize("asked", [{"task": "upper"}, {"match": "upperword"}])
def test_an_interrupted_erasure_is_finished_before_another(
    step: str, asked: dict[str, str], learned: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    trained = learned.erase(**asked, dry_run=True).trained
    assert trained
    with monkeypatch.context() as patch:
        patch.setattr(erasing, step, killed)
        with pytest.raises(KeyboardInterrupt):
            learned.erase(**asked)
    assert "upperword" not in (learned.path / "workspace.json").read_text()
    which = "'upper'" if "task" in asked else "the same --match"
    for other in ({"task": "length"}, {"match": "lengthword1"}):
        for dry_run in (True, False):
            with pytest.raises(UserError, match=f"with {which} first"):
                learned.erase(**other, dry_run=dry_run)
    assert any("not finished" in problem for problem in learned.status().problems)
    done = learned.erase(**asked)
    assert (done.examples, done.trained) == ({"upper": 20}, trained)
    assert learned.log()[-1].facts["stages"] == [f"{one.stage} {one.task}" for one in trained]
    assert learned.status().problems == ()
    assert found("upperword", learned.path) == []
    assert learned.erase("length").examples == {"length": 20}


def test_files_of_others_are_left_alone_and_named(learned: Workspace) -> None:
    path = learned.path
    (path / "mine").mkdir()
    texts = {
        "odd.jsonl": '{"task": ["x"]}\n',
        "notes.jsonl": "not json\n",
        "mine/plan.json": '{"a": 1}',
        "page.html": "<p>mine</p>",
        "mine/export.json": '{"files": 3}',
        "mine/rows.jsonl": '{"text": "Do the upper job.\\n\\nupperword3"}\n',
    }
    for name, text in texts.items():
        (path / name).write_text(text)
    look = learned.erase("upper", dry_run=True)
    done = learned.erase("upper")
    for notes in (look.notes, done.notes):
        assert [note for note in notes if "aren't inscl's" in note] == [
            "files that aren't inscl's hold erased text and were left alone: mine/rows.jsonl"
        ]
    assert {name: (path / name).read_text() for name in texts} == texts
    assert learned.status().problems == ()


def test_rows_of_an_export_go_whatever_stands_around_the_prompt(learned: Workspace) -> None:
    out = learned.path / "out"
    out.mkdir()
    prompts = [f"<user>Do the upper job.\n\nupperword{k}</user>" for k in (1, 10)]
    write_jsonl(out / "train.jsonl", [{"prompt": prompt, "completion": "X"} for prompt in prompts])
    (out / "export.json").write_text('{"schema": 1, "files": ["train.jsonl"]}')
    learned.erase(match="upperword1$")
    assert [row["prompt"] for row in read_jsonl(out / "train.jsonl")] == prompts[1:]
    learned.erase("upper")
    assert read_jsonl(out / "train.jsonl") == []


def test_conversations_go_from_every_turn_and_layout(
    learned: Workspace, data: Callable[..., Path], tmp_path: Path
) -> None:
    def row(number: int) -> dict[str, object]:
        said = ("Be kind to all of them.", "Hi", f"secret{number}", f"n {number}", "x")
        roles = ("system", "user", "assistant", "user", "assistant")
        return {"messages": [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]}

    write_jsonl(tmp_path / "talk.jsonl", [row(number) for number in range(12)])
    learned.learn(tmp_path / "talk.jsonl")
    learned.learn(data("double"), budget=12)
    (talk,) = (task for task in load_stream(tmp_path / "talk.jsonl", turns="all") if task.name == "talk")
    another = Example("Be brief.", "n 3", ("x",), turns=(Turn("system", "Be brief."), Turn("user", "n 3")))
    out = learned.path / "out"
    layouts: tuple[Layout, ...] = ("alpaca", "messages", "turns")
    for layout in layouts:
        write_training_file(out / f"{layout}.jsonl", [*talk.train, *talk.test, another], layout)
    (out / "export.json").write_text(json.dumps({"schema": 1, "files": [f"{layout}.jsonl" for layout in layouts]}))
    assert len(found("secret3", learned.path)) > 3
    assert learned.erase(match="secret3$").examples == {"talk": 1}
    assert found("secret3", learned.path) == []
    assert [len(read_jsonl(out / f"{layout}.jsonl")) for layout in layouts] == [12, 12, 12]
    learned.erase("talk")
    assert found("secret", learned.path) == []
    assert [len(read_jsonl(out / f"{layout}.jsonl")) for layout in layouts] == [1, 1, 1]


def test_a_picture_goes_with_its_last_example(
    workspace: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stub, "traits", replace(Stub.traits, images=True))

    def pictured(name: str, **arguments: str) -> Path:
        path = data(name, **arguments)
        rows = [{**row, "image": f"{name}{k % 10}.png"} for k, row in enumerate(read_jsonl(path))]
        for k in range(10):
            (path.parent / f"{name}{k}.png").write_bytes(picture(k))
        write_jsonl(path, rows)
        return path

    def kept(number: int) -> int:
        return sum(content.count(picture(number)) for content in everything(workspace.path).values())

    # Rows k and k + 10 of both tasks ask about the same picture.
    workspace.learn(pictured("upper"))
    workspace.learn(pictured("first", word="asked"), budget=40)
    assert {kept(k) for k in range(10)} == {1}
    inscl.plan_stream(workspace.path / "inscl.yaml", workspace.path / "plans", task="first")
    export(workspace.path, "jsonl", workspace.path / "out")
    workspace.learn(data("double"), budget=0)
    report = write_report([workspace.path])
    assert "data:image/jpeg;base64," in report.read_text(encoding="utf-8")
    assert {kept(k) for k in range(10)} == {3}
    workspace.erase(match="word3$")
    assert kept(3) == 3, "the rows 13 still ask about it"
    done = workspace.erase(match="word13$")
    assert done.examples == {"upper": 1, "first": 1, "double": 1}
    assert kept(3) == 0
    assert not report.exists(), "it is drawn anew without what went"
    assert {kept(k) for k in range(10) if k != 3} == {3}
    assert not any("aren't inscl's" in note for note in done.notes)
    assert workspace.status().problems == ()
    workspace.erase("upper")
    workspace.erase("first")
    assert {kept(k) for k in range(10)} == {0}


def test_mistakes(learned: Workspace) -> None:
    with pytest.raises(UserError, match="say what to erase"):
        learned.erase()
    with pytest.raises(UserError, match="say what to erase"):
        learned.erase("upper", match="x")
    with pytest.raises(UserError, match="did you mean 'upper'"):
        learned.erase("uper")
    with pytest.raises(UserError, match="not a regular expression"):
        learned.erase(match="(")
    with pytest.raises(UserError, match="would erase everything"):
        learned.erase(match="a*")


def test_what_a_strategy_quotes_in_its_reasons_goes(learned: Workspace) -> None:
    gone = "Do the upper job."
    record = Record(learned.path / "stages" / "03-length", 3, "length")
    plan, rows = record.read("plan.json"), record.rows("replay.jsonl")
    (share,) = (one for one in plan["tasks"] if one["task"] == "backwards")
    share["reason"] |= {"like": gone, "distance": 0.5, "all": [gone, "kept"]}
    share["instructions"][0]["reason"]["like"] = {"text": gone}
    plan["notes"].append(f"nearest of all: {gone}")
    stays = [row for row in rows if row["task"] == "backwards"]
    stays[0]["reason"]["like"] = gone
    record.write("plan.json", plan)
    record.write_rows("replay.jsonl", rows)
    record.finish()
    learned.erase("upper")
    assert found(gone, learned.path / "stages") == []
    (after,) = (one for one in record.read("plan.json")["tasks"] if one["task"] == "backwards")
    assert (after["reason"]["distance"], after["reason"]["all"]) == (0.5, ["kept"])
    left = record.rows("replay.jsonl")
    assert [row["id"] for row in left] == [row["id"] for row in stays]
    assert {"task", "instruction", "allocation"} <= left[0]["reason"].keys()
