"""Retrieval from everything learned: what stands before a question, in which order; runs, workspaces, erasing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inscl
from asking import NOTHING
from inscl import Workspace
from inscl.contract import Example, Question
from inscl.contract.plan import Pick, ReplayPlan
from inscl.engine import stage as stages
from inscl.errors import ConfigError, ModelError
from inscl.learners import ICL, ReLLa
from inscl.models.language_model import LanguageModel
from inscl.storage.files.atomic import read_json, read_jsonl
from inscl.testing import check_learner
from inscl.testing.made import fake_embedder
from learners.taught import FIRST, SECOND, Heard
from streams import toy_config, toy_stream
from workspace.conftest import everything

ASKED = Question("Say purple", "please please 4")


def rella(model: Path, **settings: Any) -> ReLLa:
    return ReLLa(str(model), **{"precision": "fp32", "embedder": fake_embedder, "k": 3, **settings})


def expected(learner: ReLLa, shown: Sequence[Example], question: Question) -> list[int]:
    """The prompt by transformers' own template."""
    rows: list[dict[str, str]] = []
    for one in shown:
        rows += [{"role": "user", "content": one.prompt}, {"role": "assistant", "content": one.output}]
    rows.append({"role": "user", "content": question.prompt})
    found = learner.model.tokenizer.apply_chat_template(rows, add_generation_prompt=True, return_dict=False)
    return list(found)


def most_alike(candidates: Sequence[Example], question: Question, k: int) -> list[Example]:
    """By an independent search, in the order of the candidates."""
    vectors = np.array(fake_embedder([one.prompt for one in candidates]), dtype=np.float64)
    own = np.array(fake_embedder([question.prompt]), dtype=np.float64)[0] - vectors.mean(0)
    centred = vectors - vectors.mean(0)
    # No more components than examples: what of the question lies outside their span counts for nothing.
    axes = np.linalg.svd(centred, full_matrices=False)[2][: min(centred.shape)]
    reduced, asked = centred @ axes.T, axes @ own
    lengths = np.linalg.norm(reduced, axis=1) * np.linalg.norm(asked)
    cosines = np.where(lengths > 1e-6, reduced @ asked / np.maximum(lengths, 1e-6), 0)
    best = sorted(range(len(candidates)), key=lambda at: (-round(float(cosines[at]), 6), at))[:k]
    return [candidates[at] for at in sorted(best)]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Every prompt that a model generates after, as token ids."""
    seen: list[list[int]] = []
    generate = LanguageModel.generate

    def spy(self: LanguageModel, prompts: Sequence[Sequence[int]], **settings: Any) -> list[list[int]]:
        seen.extend(map(list, prompts))
        return generate(self, prompts, **settings)

    monkeypatch.setattr(LanguageModel, "generate", spy)
    return seen


@pytest.mark.parametrize("settings", [{}, {"k": "fit", "prompt": "plain"}, {"k": 0}], ids=str)
def test_the_contract_is_kept(tiny_model: Path, settings: dict[str, Any]) -> None:
    check_learner(lambda: rella(tiny_model, **settings))


def test_the_most_alike_of_all_tasks_stand_in_the_order_learned(tiny_model: Path, read: list[list[int]]) -> None:
    learner = rella(tiny_model)
    for task in (SECOND, FIRST):
        learner.learn(task, NOTHING)
    questions = [ASKED, Question("Say red", "please please please 9"), Question("Say blue", "please 1")]
    candidates = [*SECOND.train, *FIRST.train]
    shown = [most_alike(candidates, question, 3) for question in questions]
    learner.answer(questions, 4)
    assert read == [expected(learner, some, question) for some, question in zip(shown, questions, strict=True)]
    assert len({example.task for some in shown for example in some}) == 2


def test_what_is_replayed_is_what_is_kept_of_an_earlier_task(tiny_model: Path, read: list[list[int]]) -> None:
    learner = rella(tiny_model, k="fit", max_length=512)
    learner.learn(FIRST, NOTHING)
    plan = ReplayPlan("second", "made", tuple(Pick(FIRST.train[at], "first", 2) for at in (4, 1)))
    learner.learn(SECOND, plan)
    learner.answer([ASKED], 4)
    assert read == [expected(learner, [FIRST.train[1], FIRST.train[4], *SECOND.train], ASKED)]


def test_the_least_alike_go_where_the_context_ends_and_a_question_alone_is_the_models_own(
    tiny_model: Path, read: list[list[int]]
) -> None:
    heard = Heard()
    learner = rella(tiny_model, k=6, max_length=230, progress=heard)
    learner.answer([ASKED], 4)
    assert read.pop() == expected(learner, [], ASKED)
    learner.learn(FIRST, NOTHING)
    learner.answer([ASKED], 4)
    (prompt,) = read
    fitting = [
        some for k in range(7) if len(some := expected(learner, most_alike(FIRST.train, ASKED, k), ASKED)) <= 226
    ]
    assert prompt == fitting[-1] != fitting[0]
    assert len(fitting) < 7
    assert any("6 were left out" in note or "of 6 were left out" in note for note in heard.notes)


def test_settings_and_states_that_cannot_be(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.params\.dimensions"):
        rella(tiny_model, dimensions=0)
    with pytest.raises(ConfigError, match=r"training\.params\.k"):
        rella(tiny_model, k=-1)
    learner = rella(tiny_model)
    learner.learn(FIRST, NOTHING)
    learner.save(tmp_path)
    again = rella(tiny_model)
    again.load(tmp_path)
    assert again.demonstrations == {"first": FIRST.train}
    with pytest.raises(ModelError, match=r"another learner \(rella, here icl\)"):
        ICL(str(tiny_model), precision="fp32").load(tmp_path)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Any:
    """A run over closed questions and others, with the measures of choices."""
    folder = tmp_path_factory.mktemp("rella")
    stream = toy_stream(folder / "stream", 10)
    likes = [
        {
            "instruction": "Will they?",
            "input": f"film {k}",
            "output": ("Yes", "No")[k % 2],
            "options": ["Yes", "No"],
            "split": ("train", "test")[k > 5],
        }
        for k in range(10)
    ]
    (stream / "likes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in likes))
    found = toy_config(stream, tiny_model, folder / "run", strategy="random")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSCL_CACHE", str(folder / "cache"))
        yield {
            **found,
            "stream": {"path": str(stream), "order": ["likes", "upper"]},
            "training": {"learner": "rella", "params": {"k": 2, "embedder": "ngrams"}, "max_length": 512},
            "evaluation": {"max_new_tokens": 3, "metrics": ["auc", "log_loss", "choice_accuracy", "rouge_l"]},
        }


def test_a_run_measures_choices_and_an_interrupted_one_ends_with_the_same_bytes(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    whole = inscl.run(config).path
    scores = read_json(whole / "scores.json")
    assert {name for name, cells in scores["metrics"].items() if cells} >= {"auc", "log_loss", "choice_accuracy"}
    given, learn = {**config, "output_dir": str(tmp_path / "again")}, stages.learn

    def kill(*arguments: Any, **keywords: Any) -> Any:
        if any((tmp_path / "again").rglob("DONE")):
            raise Killed
        return learn(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(stages, "learn", kill)
        with pytest.raises(Killed):
            inscl.run(given)
    inscl.run(given)
    for name in ("scores.json", "metrics.json", "stages/02-upper/model/demonstrations.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (whole / name).read_bytes()
    assert inscl.write_report([whole]).exists()


def test_a_workspace_rolls_back_and_erases(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    own = ("training.learner=rella", "training.params={k: 3, embedder: ngrams}", "replay.embedder=ngrams")
    more = ("replay.tag_embedder=null", "evaluation.max_new_tokens=3")
    workspace = Workspace.init(tmp_path / "ws", str(tiny_model), changes=[*own, *more])
    for name in ("first", "second"):
        rows = [{"instruction": f"Do {name}.", "input": f"{name} {k} quokka{k}", "output": f"s{k}"} for k in range(8)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        workspace.learn(tmp_path / f"{name}.jsonl")
    before = workspace.ask("Do first.\n\nfirst 9", stage=1)
    state = next((workspace.path / "stages").glob("02-*")) / "model" / "demonstrations.jsonl"
    gone = read_jsonl(state)[0]["input"].split()[-1]
    workspace.erase(match=f"{gone}$")
    assert not [name for name, content in everything(workspace.path).items() if f'{gone}"'.encode() in content]
    assert workspace.status().problems == ()
    workspace.rollback(1)
    assert isinstance(before, str)
    assert workspace.ask("Do first.\n\nfirst 9") == workspace.ask("Do first.\n\nfirst 9", stage=1)
