"""``--keep``: once a task is learned, no file holds an input of its train examples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import inscl
from inscl import Workspace, load_stream, write_report
from inscl.contract.described import Described, is_stand_in
from inscl.engine.evaluate_stage import evaluate_stage
from inscl.engine.open_run import OpenWorkspace, open_run
from inscl.errors import ConfigError, UserError
from inscl.forgetting.of_run import forgotten_of_run
from inscl.handover.mix import learned_mix, next_mix
from inscl.learners.kept_targets import KeptTargets
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.storage.files.cache import Cache
from inscl.storage.memory.store import MemoryStore
from inscl.storage.run.ledger import Ledger
from inscl.workspace import keeping
from workspace.conftest import SETTINGS, everything
from workspace.refiners import Said
from workspace.stub import RULES

TASKS = ("upper", "backwards", "length")
KEEP = ("instructions", "none")


@pytest.fixture
def secret(tmp_path: Path) -> Callable[..., Path]:
    """Writes a task's file, every input of which is found nowhere else."""

    def write(name: str, rows: int = 20) -> Path:
        lines = []
        for k in range(rows):
            text = hashlib.sha256(f"{name} {k}".encode()).hexdigest()[:20]
            lines.append({"instruction": f"Do the {name} job.", "input": text, "output": RULES[name](text)})
        lines += [
            {"instruction": f"Only once: {name}.", "input": f"alone {name}", "output": RULES[name](f"alone {name}")}
        ]
        path = tmp_path / "secret" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in lines), encoding="utf-8")
        return path

    return write


@pytest.fixture
def make(
    tmp_path: Path, model: Path, stub: None, writing: None, secret: Callable[..., Path]
) -> Callable[..., Workspace]:
    """A workspace that keeps so much, and has learned three tasks."""

    def made(keep: Any, tasks: tuple[str, ...] = TASKS, strategy: str | None = None) -> Workspace:
        workspace = Workspace.init(tmp_path / keep, str(model), changes=SETTINGS, keep=keep)
        for name in tasks:
            workspace.learn(secret(name), strategy=strategy)
        return workspace

    return made


def inputs(path: Path) -> set[str]:
    (task,) = load_stream(path).tasks
    return {example.input for example in task.train}


def holding(texts: set[str], *folders: Path) -> set[str]:
    """Those of the texts that any file holds."""
    held = b"\n".join(content for folder in folders for content in everything(folder).values())
    return {text for text in texts if text.encode() in held or text.encode("utf-16-le") in held}


@pytest.mark.parametrize("keep", KEEP)
def test_no_file_holds_an_input_once_it_is_learned(
    keep: str, make: Callable[..., Workspace], secret: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    workspace = make(keep)
    write_report([workspace.path])
    asked = set().union(*(inputs(secret(name)) for name in TASKS))
    assert len(asked) > 45
    assert holding(asked, workspace.path, tmp_path / "cache") == set()
    tasks = open_run(workspace.path).stream.tasks
    for task in tasks:
        assert all(map(is_stand_in, task.train))
        assert task.test
    once = {f"Only once: {name}." for name in TASKS} & {text for task in tasks for text in task.instructions}
    assert bool(once) == (keep == "instructions")
    # The control: with the examples kept, the same search finds every one of them.
    kept = make("examples")
    assert holding(asked, kept.path) == asked


def test_the_same_is_written_whatever_is_kept(make: Callable[..., Workspace]) -> None:
    """Of the description nothing is lost when the examples go."""
    plans = {}
    for keep in ("examples", "instructions", "none"):
        workspace = make(keep, strategy="pseudo")
        rows = read_jsonl(workspace.path / "stages" / "03-length" / "replay.jsonl")
        plan = read_json(workspace.path / "stages" / "03-length" / "plan.json")
        described = [Described.of(task) for task in open_run(workspace.path).stream]
        plans[keep] = (plan["tasks"], plan["notes"], [(row["task"], row["reason"]) for row in rows], described)
        assert len(rows) == 6
        assert {bool(row["input"]) for row in rows} == {keep != "none"}
        assert all(row["provenance"]["described"] for row in rows)
        assert [task.scores["exact_match"].now for task in workspace.status().tasks] == [100, 100, 100]
    assert plans["instructions"] == plans["examples"]


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("step", ["clean_caches", "_let_go_of_written", "replace_train", "commit"])
def test_killed_while_examples_go_the_next_command_lets_them_go(
    keep: str, step: str, make: Callable[..., Workspace], secret: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make(keep, ("upper",))
    path, before = secret("backwards"), Ledger.read(workspace.path)

    def killed(*_: object, **changes: object) -> None:
        if step != "commit" or "tasks" in changes:
            raise KeyboardInterrupt
        commit(*_, **changes)  # type: ignore[arg-type]

    commit = OpenWorkspace.commit
    owner: Any = {"replace_train": MemoryStore, "commit": OpenWorkspace}.get(step, keeping)
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, killed)
        if (keep, step) == ("instructions", "_let_go_of_written"):
            patch.setattr(keeping, "clean_caches", killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.learn(path)
    assert Ledger.read(workspace.path).tasks == before.tasks
    assert workspace.learn().learned == ("backwards",)
    assert holding(inputs(path), workspace.path) == set()
    status = workspace.status()
    assert ([task.name for task in status.tasks], status.problems, status.unfinished) == (
        ["upper", "backwards"],
        (),
        (),
    )
    workspace.learn(secret("length"))
    assert workspace.status().tasks[-1].name == "length"


@pytest.mark.parametrize("keep", KEEP)
def test_interrupted_in_the_middle_of_a_stage_it_goes_on(
    keep: str, make: Callable[..., Workspace], secret: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, path = make(keep, ("upper",)), secret("backwards")
    with monkeypatch.context() as patch:
        patch.setattr("inscl.engine.stage.Stage.evaluate", _killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.learn(path)
    # What goes on needs them, until it is done or given up.
    assert holding(inputs(path), workspace.path) == inputs(path)
    if keep == "none":
        workspace.rollback(1)
    else:
        assert workspace.learn().learned == ("backwards",)
    assert holding(inputs(path), workspace.path) == set()


@pytest.mark.parametrize("keep", KEEP)
def test_several_tasks_at_once(keep: str, make: Callable[..., Workspace], secret: Callable[..., Path]) -> None:
    workspace = make(keep, ())
    assert workspace.learn(*map(secret, TASKS)).learned == TASKS
    assert holding(set().union(*(inputs(secret(name)) for name in TASKS)), workspace.path) == set()
    assert [task.scores["exact_match"].now for task in workspace.status().tasks] == [100, 100, 100]


@pytest.mark.parametrize("keep", KEEP)
def test_the_other_commands(
    keep: str, make: Callable[..., Workspace], secret: Callable[..., Path], tmp_path: Path
) -> None:
    workspace = make(keep)
    status = workspace.status()
    assert (status.keep, status.problems) == (keep, ())
    assert Workspace.open(workspace.path).learn(secret("upper")).known == ("upper",)
    assert workspace.gate(max_forgetting=5).passed
    assert workspace.ask("Do the length job.\n\nabc") == "3"
    assert workspace.diff(1, 3).tasks[0].change == 0
    evaluate_stage(workspace.path, 0)
    with pytest.raises(UserError, match="give the stream instead"):
        forgotten_of_run(workspace.path)
    assert forgotten_of_run(workspace.path, stream=load_stream(tmp_path / "secret")).cases == []
    with pytest.raises(ConfigError, match=f"keeps {keep}, not the train examples that stage 2 learned"):
        learned_mix(open_run(workspace.path), 2)
    assert len(next_mix(open_run(workspace.path), secret("double")).plan.picks) == 9
    with pytest.raises(ConfigError, match="--dry-run"):
        inscl.plan_stream(workspace.path / "inscl.yaml")
    assert sum(workspace.plan(secret("double")).tasks[0].plan.allocation.values()) == 9
    workspace.rollback(1)
    workspace.learn(secret("backwards"))
    workspace.prune()
    assert [task.name for task in workspace.status().tasks] == ["upper", "backwards"]
    done = next(iter((workspace.path / "stages").glob("01-*"))) / "DONE"
    done.unlink()
    with pytest.raises(UserError, match="can't be done anew: this workspace keeps"):
        workspace.learn()


@pytest.mark.parametrize("keep", KEEP)
def test_erasing(keep: str, make: Callable[..., Workspace]) -> None:
    workspace = make(keep)
    tested = MemoryStore(workspace.path / "memory").task("000001").test[0].input
    one = workspace.erase(match=tested)
    assert one.examples == {"upper": 1}
    assert "train examples" in one.notes[0]
    assert len(read_jsonl(workspace.path / "stages" / "02-backwards" / "replay.jsonl")) == 3
    assert workspace.erase(match="description|number|input_words", dry_run=True).examples == {}
    left = workspace.status().tasks[0]
    assert (left.erased, left.gone) == (1, False)
    done = workspace.erase("upper")
    assert [(stage.stage, stage.how) for stage in done.trained] == [(1, "learned"), (2, "replayed"), (3, "replayed")]
    assert workspace.status().tasks[0].gone
    assert workspace.status().problems == ()
    assert read_jsonl(workspace.path / "stages" / "02-backwards" / "replay.jsonl") == []
    assert workspace.gate(max_forgetting=5).passed


def test_erasing_a_wording_takes_what_was_written_for_it(make: Callable[..., Workspace]) -> None:
    workspace = make("instructions")
    assert workspace.erase(match="Do the upper job").examples["upper"] > 15
    rows = read_jsonl(workspace.path / "stages" / "03-length" / "replay.jsonl")
    assert {row["task"] for row in rows} == {"backwards"}


@pytest.mark.parametrize("keep", KEEP)
def test_rows_that_were_set_aside_are_not_kept(
    keep: str, make: Callable[..., Workspace], secret: Callable[..., Path], tmp_path: Path
) -> None:
    workspace, path = make(keep, ()), secret("upper")
    asked = inputs(path)
    learned = load_stream(path, refine=[Said("plain marmalade of")])
    made = {example.input for example in learned.tasks[0].train if example.input[-1].isdigit()}
    # What a model was asked about an example stands in the user's cache.
    Cache(tmp_path / "cache" / "answers.sqlite", "judge").put(
        {"q": json.dumps({"why": f"{min(made)}. is odd"}).encode()}
    )
    assert holding({min(made)}, tmp_path / "cache")
    done = workspace.learn(learned)
    assert any("aren't kept" in note for note in done.notes)
    assert holding(asked | made, workspace.path) == set()
    assert holding(asked | made, tmp_path / "cache") == set()


def test_what_needs_examples_is_refused(tmp_path: Path, model: Path, stub: None, secret: Callable[..., Path]) -> None:
    for changes, said in (
        (
            ["replay.strategy=random"],
            "replay.strategy: random replays old examples, and with --keep none there are none",
        ),
        (["training.learner=icl", "replay.strategy=none"], "training.learner: icl needs the examples that it learned"),
    ):
        with pytest.raises(ConfigError, match=said):
            Workspace.init(tmp_path / "ws", str(model), changes=[*SETTINGS, *changes], keep="none")
    with pytest.raises(ConfigError, match="one of examples, instructions, none was expected, got 'all'"):
        Workspace.init(tmp_path / "ws", str(model), changes=SETTINGS, keep="all")  # type: ignore[arg-type]
    assert not (tmp_path / "ws").exists()
    workspace = Workspace.init(tmp_path / "ws", str(model), changes=SETTINGS, keep="none")
    with pytest.raises(ConfigError, match="inscl replays old examples"):
        workspace.learn(secret("upper"), strategy="inscl")
    with pytest.raises(ConfigError, match="give per_task, total or share"):
        workspace.learn(secret("upper"), budget="tokens=100")
    workspace.learn(secret("upper"), strategy="none")
    workspace.learn(secret("backwards"), strategy="repeat")


def test_only_a_workspace_that_lets_examples_go_is_of_the_new_format(make: Callable[..., Workspace]) -> None:
    """So that an older version, which would keep them, doesn't open it."""
    assert [Ledger.read(make(keep, ()).path).version for keep in ("examples", "instructions", "none")] == [1, 2, 2]


def test_a_real_model_leaves_no_input_behind(
    tiny_model: Path, secret: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In checkpoints, soft targets and the log of training, too; interrupted while it trains, and gone on with."""
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    settings = [
        *(one for one in SETTINGS if not one.startswith("training.learner")),
        "model.adapter.r=4",
        "training.batch_size=4",
        "training.objective=soft_targets",
        "evaluation.max_new_tokens=4",
        "replay.params.writer=adapter",
    ]
    workspace = Workspace.init(tmp_path / "real", str(tiny_model), changes=settings, keep="none")
    workspace.learn(secret("upper"))
    with monkeypatch.context() as patch:
        patch.setattr("inscl.engine.stage.Stage.evaluate", _killed)
        with pytest.raises(KeyboardInterrupt):
            workspace.learn(secret("backwards"))
    workspace.learn()
    asked = inputs(secret("upper")) | inputs(secret("backwards"))
    assert holding(asked, workspace.path, tmp_path / "cache") == set()
    answers = {
        example.output for name in ("upper", "backwards") for example in load_stream(secret(name)).tasks[0].train
    }
    assert holding(answers, workspace.path, tmp_path / "cache") == set()
    for stage in open_run(workspace.path).folder.stage(1), open_run(workspace.path).folder.stage(2):
        assert len(KeptTargets.read(stage.model)) == 0
        assert list((stage.path / "noted").glob("adapter*.safetensors"))
        assert not stage.damaged()
    assert workspace.plan(secret("length")).tasks[0].plan.strategy == "pseudo"


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
