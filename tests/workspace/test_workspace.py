"""A workspace from the outside: what is learned, what is recognised, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inscl import Workspace, load_stream
from inscl.doctor.verification import verify
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.errors import ConfigError, DataError, UserError
from inscl.handover import export
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.storage.files.lock import locked
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.stage_record import Record
from workspace.conftest import SETTINGS, content


def test_it_learns_task_after_task_and_tells_how_they_stand(workspace: Workspace, data: Callable[..., Path]) -> None:
    first = workspace.learn(data("upper"))
    assert first.learned == ("upper",)
    second = workspace.learn(data("backwards"))
    status = second.status
    assert [(task.stage, task.name) for task in status.tasks] == [(1, "upper"), (2, "backwards")]
    # Three replayed examples are enough for the stub to keep the only instruction.
    assert [task.scores["exact_match"].now for task in status.tasks] == [100.0, 100.0]
    assert status.examples == 40
    assert status.memory_bytes > 0
    assert status.unfinished == ()
    assert Workspace.open(workspace.path).status() == status
    third = workspace.learn(data("length"), budget=0)
    scores = {task.name: task.scores["exact_match"] for task in third.status.tasks}
    assert (scores["upper"].best, scores["upper"].best_stage, scores["upper"].now) == (100.0, 1, 0.0)
    assert scores["length"].now == 100.0


def test_the_records_are_those_of_a_run(learned: Workspace) -> None:
    folder = learned.path
    assert read_json(folder / "scores.json")["tasks"] == ["upper", "backwards", "length"]
    assert len(read_json(folder / "scores.json")["cells"]) == 6
    assert [task["name"] for task in read_json(folder / "manifest.json")["stream"]["tasks"]] == [
        "upper",
        "backwards",
        "length",
    ]
    stage = folder / "stages" / "03-length"
    assert read_json(stage / "plan.json")["picks"] == 6 == len(read_jsonl(stage / "replay.jsonl"))
    assert not list(folder.rglob("*.part")) + list(folder.rglob("*.pkl"))


def test_the_same_data_is_recognised_whatever_it_is_called(learned: Workspace, data: Callable[..., Path]) -> None:
    before = content(learned.path)
    again = learned.learn(data("backwards"))
    assert (again.learned, again.known) == ((), ("backwards",))
    assert any("learned already, at stage 2" in note for note in again.notes)
    assert learned.learn(data("backwards"), name="other").known == ("backwards",)
    assert content(learned.path) == before


def test_a_name_that_is_taken_is_refused_and_another_one_helps(learned: Workspace, data: Callable[..., Path]) -> None:
    changed = data("upper", rows=9, word="new")
    with pytest.raises(DataError, match=r"'upper' was learned at stage 1 from other data: give .* --name"):
        learned.learn(changed)
    assert learned.learn(changed, name="upper-2").status.tasks[-1].name == "upper-2"
    with pytest.raises(DataError, match="differ by case"):
        learned.learn(data("first"), name="Upper")
    with pytest.raises(ConfigError, match="--name: is for one task"):
        learned.learn(data("first"), data("double"), name="both")


def test_test_rows_that_earlier_tasks_trained_on_are_told(
    learned: Workspace, data: Callable[..., Path], tmp_path: Path
) -> None:
    stored = [json.loads(line) for line in data("upper").read_text().splitlines()]
    (tmp_path / "leaky").mkdir()
    train = [{"instruction": "Do the first job.", "input": f"x{k}", "output": "x"} for k in range(4)]
    for split, rows in (("train", train), ("test", [*stored, train[0] | {"input": "y"}])):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "leaky" / f"{split}.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"test examples of leaky are train examples of earlier tasks: upper \(\d+\)"):
        learned.learn(tmp_path / "leaky")
    dropped = learned.plan(tmp_path / "leaky", changes=["stream.leaks=drop"])
    assert any("left out of this task" in note for note in dropped.notes)
    held_out = next(task.test for task in learned.status().tasks if task.name == "upper")
    assert dropped.tasks[0].test == held_out + 1
    allowed = learned.plan(tmp_path / "leaky", changes=["stream.leaks=allow"])
    assert allowed.tasks[0].test == 21
    # Dropped rows don't keep the data from being recognised.
    learned.learn(tmp_path / "leaky", changes=["stream.leaks=drop"])
    assert learned.learn(tmp_path / "leaky", changes=["stream.leaks=drop"]).known == ("leaky",)


def test_a_plan_shows_the_cost_and_writes_nothing(learned: Workspace, data: Callable[..., Path]) -> None:
    before = content(learned.path)
    proposal = learned.plan(data("first"), budget="total=4", strategy="random")
    (task,) = proposal.tasks
    assert (task.stage, task.plan.strategy, len(task.plan.picks)) == (4, "random", 4)
    assert task.estimate.tokens > 0
    assert task.estimate.seconds is not None
    assert task.estimate.asked == sum(one.test for one in learned.status().tasks) + task.test
    assert content(learned.path) == before
    assert json.dumps(proposal.to_json())


def test_a_strategy_that_remembers_knows_what_earlier_calls_and_the_same_call_replay(
    workspace: Workspace, data: Callable[..., Path]
) -> None:
    workspace.learn(data("upper"))
    data("backwards")
    workspace.learn(data("length").parent, changes=["replay.params={coverage: true}"])
    workspace.learn(data("first"), changes=["replay.params={coverage: true}"])
    picked = [
        row["id"]
        for stage in ("02-backwards", "03-length", "04-first")
        for row in read_jsonl(workspace.path / "stages" / stage / "replay.jsonl")
        if row["reason"]["task"] == "upper"
    ]
    assert len(picked) == len(set(picked)) == 9


def test_what_isnt_agreed_to_isnt_learned(learned: Workspace, data: Callable[..., Path]) -> None:
    before = content(learned.path)
    shown = []
    done = learned.learn(data("first"), agreed=lambda proposal: bool(shown.append(proposal)))
    assert done.learned == ()
    assert shown[0].tasks[0].name == "first"
    assert content(learned.path) == before


def test_settings_of_one_call_are_kept_with_its_stage_alone(learned: Workspace, data: Callable[..., Path]) -> None:
    learned.learn(data("first"), strategy="random", budget={"share": 0.5})
    plan = read_json(learned.path / "stages" / "04-first" / "plan.json")
    assert (plan["strategy"], plan["budget"]) == ("random", {"share": 0.5})
    learned.learn(data("double"))
    plan = read_json(learned.path / "stages" / "05-double" / "plan.json")
    assert (plan["strategy"], plan["budget"]) == ("inscl", {"per_task": 3})
    facts = learned.log()[-2].facts
    assert facts["settings"] == ["replay.strategy=random", "replay.params={}", "replay.budget.share=0.5"]
    with pytest.raises(ConfigError, match=r"seed: is the workspace's"):
        learned.plan(data("first", rows=3, word="z"), name="z", changes=["seed=3"])


def test_capped_evaluation_asks_the_same_examples_at_every_stage(
    tmp_path: Path, model: Path, stub: None, data: Callable[..., Path]
) -> None:
    workspace = Workspace.init(tmp_path / "capped", str(model), changes=SETTINGS, eval_per_task=2)
    for name in ("upper", "backwards", "length"):
        workspace.learn(data(name, rows=40))
    stages = sorted((workspace.path / "stages").iterdir())
    asked = [[row["id"] for row in read_jsonl(stage / "predictions" / "upper.jsonl")] for stage in stages]
    assert len(asked[0]) == 2
    assert asked[0] == asked[1] == asked[2]
    workspace.learn(data("first", rows=40), eval_per_task=4)
    more = [row["id"] for row in read_jsonl(workspace.path / "stages" / "04-first" / "predictions" / "upper.jsonl")]
    assert (len(more), more[:2]) == (4, asked[0])


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, model: Path, workspace: Workspace) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match="is not empty"):
        Workspace.init(tmp_path / "full", str(model))
    with pytest.raises(UserError, match="holds a workspace already"):
        Workspace.init(workspace.path, str(model))
    with pytest.raises(UserError, match=r"no workspace there.*inscl init"):
        Workspace.open(tmp_path / "full")
    with pytest.raises(ConfigError, match=r"evaluation\.experts: is for runs"):
        Workspace.init(tmp_path / "new", str(model), changes=["evaluation.experts=true"])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "change", ["evaluation.base=true", "evaluation.experts=true", "evaluation.between=2", "stream.held_out=[upper]"]
)
def test_a_stage_takes_no_settings_that_are_for_runs_alone(
    workspace: Workspace, data: Callable[..., Path], change: str
) -> None:
    before = content(workspace.path)
    with pytest.raises(ConfigError, match="is for runs"):
        workspace.learn(data("upper"), changes=[change])
    assert content(workspace.path) == before


@pytest.mark.parametrize("change", ["model.keep=last", "model.adapter.r=2", "seed=7", "evaluation.metrics=[token_f1]"])
def test_a_stage_takes_no_settings_that_are_the_workspaces(
    workspace: Workspace, data: Callable[..., Path], change: str
) -> None:
    before = content(workspace.path)
    with pytest.raises(ConfigError, match="is the workspace's; it can't change from stage to stage"):
        workspace.learn(data("upper"), changes=[change])
    assert content(workspace.path) == before


def test_a_stream_that_holds_tasks_out_is_refused(workspace: Workspace, data: Callable[..., Path]) -> None:
    folder = data("upper").parent
    data("length")
    stream = load_stream({"path": str(folder), "held_out": ["length"]})
    with pytest.raises(DataError, match="the stream holds out length"):
        workspace.learn(stream)


def test_the_learner_inside_another_one_stays_the_same(tmp_path: Path, model: Path, stub: None) -> None:
    inside = [*SETTINGS, "training.learner=overprompt", "training.params.learner=stub"]
    workspace = Workspace.init(tmp_path / "ws", str(model), changes=inside)
    with pytest.raises(ConfigError, match=r"training\.params\.learner: is the workspace's"):
        workspace.learn(changes=["training.params.learner=icl"])


def test_a_typo_is_told_before_a_damaged_stage_is_done_anew(learned: Workspace) -> None:
    (learned.path / "stages" / "02-backwards" / "DONE").unlink()
    before = content(learned.path)
    with pytest.raises(ConfigError, match=r"did you mean 'epochs'"):
        learned.learn(changes=["training.epoch=3"])
    assert content(learned.path) == before


def test_the_log_can_be_read_by_a_person(learned: Workspace) -> None:
    lines = (learned.path / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[1] for line in lines] == ["made:", "learned:", "learned:", "learned:"]
    assert "word" not in (learned.path / "log.txt").read_text()
    assert [event.what for event in learned.log()] == ["made", "learned", "learned", "learned"]


def test_a_moved_workspace_goes_on(learned: Workspace, data: Callable[..., Path], tmp_path: Path) -> None:
    learned.path.rename(tmp_path / "elsewhere")
    moved = Workspace.open(tmp_path / "elsewhere")
    assert moved.learn(data("first")).learned == ("first",)
    assert not learned.path.exists()


def test_scores_of_earlier_stages_are_read_again_only_if_the_matrix_is_not_as_it_was_written(
    learned: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    scores = Record.scores
    monkeypatch.setattr(Record, "scores", lambda self: read.append(self.stage) or scores(self))  # type: ignore[func-returns-value]
    learned.learn(data("first"))
    assert set(read) == {4}
    assert verify(learned.path) == []
    matrix = learned.path / "scores.json"
    matrix.write_text(matrix.read_text().replace('"mean": 100.0', '"mean": 99.0', 1))
    read.clear()
    learned.learn(data("double"))
    assert {1, 2, 3, 4, 5} <= set(read)
    assert verify(learned.path) == []


def test_scores_added_by_an_evaluation_that_was_killed_at_its_end_are_not_lost(
    learned: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("inscl.engine.open_run.summarise", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate_stage(learned.path, 0, ["upper"])
    learned.learn(data("first"))
    assert (0, "upper") in [(c["stage"], c["task"]) for c in read_json(learned.path / "scores.json")["cells"]]
    assert verify(learned.path) == []


def test_what_is_learned_just_before_an_evaluation_holds_the_workspace_is_not_lost(
    learned: Workspace, data: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def late(path: Path) -> Iterator[None]:
        learned.learn(data("first"))
        with locked(path):
            yield

    monkeypatch.setattr("inscl.engine.open_run.held", late)
    run = evaluate_stage(learned.path, 0, ["upper"])
    assert [task.name for task in learned.status().tasks] == ["upper", "backwards", "length", "first"]
    assert run.scores.tasks == ("upper", "backwards", "length", "first")
    assert verify(learned.path) == []


def test_at_least_one_example_is_asked(workspace: Workspace, data: Callable[..., Path]) -> None:
    for most in (0, -3):
        with pytest.raises(ConfigError, match=f"--eval-per-task: a whole number of 1 or more was expected, got {most}"):
            workspace.learn(data("upper"), eval_per_task=most)
    assert workspace.status().tasks == ()


def test_a_label_like_a_number_is_a_text_when_it_is_read_again(tmp_path: Path, model: Path, stub: None) -> None:
    made = Workspace.init(tmp_path / "made", str(model), changes=[*SETTINGS, 'label="1e3"'])
    assert made.status().tasks == ()


def test_the_mix_of_a_new_file_has_nothing_of_an_erased_task(
    learned: Workspace, data: Callable[..., Path], tmp_path: Path
) -> None:
    learned.erase("length")
    made = export(learned.path, "jsonl", tmp_path / "out", data=data("double"))
    assert made.replayed == 6


def test_a_parameter_that_is_refused_leaves_nothing_on_disk(
    tmp_path: Path, model: Path, workspace: Workspace, data: Callable[..., Path]
) -> None:
    change = "training.params={sead: 1}"
    with pytest.raises(ConfigError, match="sead: no such parameter"):
        Workspace.init(tmp_path / "new", str(model), changes=[*SETTINGS, change])
    assert not (tmp_path / "new").exists()
    before = content(workspace.path)
    with pytest.raises(ConfigError, match="sead: no such parameter"):
        workspace.learn(data("upper"), changes=[change])
    assert content(workspace.path) == before


def test_an_answer_that_is_too_long_is_refused_before_anything_is_kept(tmp_path: Path, tiny_model: Path) -> None:
    changes = [one for one in SETTINGS if "learner" not in one] + ["training.max_length=64"]
    workspace = Workspace.init(tmp_path / "ws", str(tiny_model), changes=changes)
    answers = {"a": "train", "b": "test", "L" * 80: "train"}
    rows = [{"instruction": "Do.", "input": said, "output": said, "split": split} for said, split in answers.items()]
    path = tmp_path / "long.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    before = content(workspace.path)
    with pytest.raises(DataError, match=r"long\.jsonl:3, 'L+'.* too many for max_length 64; raise"):
        workspace.learn(path)
    assert content(workspace.path) == before


def test_a_longest_answer_is_for_a_task_that_is_learned(learned: Workspace, data: Callable[..., Path]) -> None:
    before = content(learned.path)
    with pytest.raises(ConfigError, match=r"max_new_tokens\.duble: there is no such task \(did you mean 'double'"):
        learned.learn(data("double"), changes=["evaluation.max_new_tokens={default: 4, duble: 5}"])
    assert content(learned.path) == before
    assert learned.plan(data("double"), changes=["evaluation.max_new_tokens={default: 4, double: 5, upper: 6}"]).tasks


def test_a_workspace_keeps_its_learner(workspace: Workspace, data: Callable[..., Path]) -> None:
    before = content(workspace.path)
    with pytest.raises(ConfigError, match=r"training\.learner: is the workspace's"):
        workspace.learn(data("upper"), changes=["training.learner=fine_tune"])
    assert content(workspace.path) == before


def test_it_keeps_summaries_of_tasks_until_their_data_are_erased(
    tmp_path: Path, model: Path, stub: None, data: Callable[..., Path]
) -> None:
    made = Workspace.init(tmp_path / "ws", str(model), changes=[*SETTINGS, "replay.params.summarise=always"])
    for name in ("upper", "backwards", "length"):
        made.learn(data(name))
    store = MemoryStore(made.path / "memory")
    assert set(store.memory(map(store.task, store.keys())).summaries) == {"upper", "backwards"}
    made.erase(match="upperword3")
    assert set(store.memory(map(store.task, store.keys())).summaries) == {"backwards"}
    assert verify(made.path) == []
