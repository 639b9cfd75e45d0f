"""Image-text models of other families than LLaVA, taught and asked by both learners, and through a whole run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

import inscl
from asking import NOTHING
from inscl.contract import Example, Question, Task
from inscl.handover import export
from inscl.learners import DualIncrement
from inscl.learners.fine_tune import FineTune
from inscl.models.language_model import LanguageModel
from inscl.storage.files.atomic import read_jsonl
from pictures import image, picture_stream
from seeing_models import make_qwen, make_smolvlm

WORDS = ("c", "d", "s")
SIZES = ((16, 16), (24, 8), (16, 32))  # several tokens each, in another shape
SHOWN = tuple(image(k, size=size) for k, size in enumerate(SIZES))
NAMES = Task(
    "names", tuple(Example("Name it.", "Soon.", (w,), "names", images=(s,)) for w, s in zip(WORDS, SHOWN, strict=True))
)
TURNED = [Question("Name it.", "Soon.", images=(one,)) for one in reversed(SHOWN)]


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_llava: Path) -> dict[str, Path]:
    return {
        "qwen2_vl": make_qwen("qwen2_vl", tiny_model, tmp_path_factory.mktemp("qwen")),
        "smolvlm": make_smolvlm("smolvlm", tiny_llava, tmp_path_factory.mktemp("smolvlm")),
    }


@pytest.mark.parametrize(("family", "batching"), [("qwen2_vl", "pack"), ("qwen2_vl", "length"), ("smolvlm", "length")])
def test_fine_tune_learns_which_picture_has_which_name(families: dict[str, Path], family: str, batching: str) -> None:
    settings: dict[str, Any] = {"epochs": 40, "learning_rate": 1e-2, "batch_size": 3, "seed": 1, "precision": "fp32"}
    learner = FineTune(str(families[family]), adapter={"kind": "lora", "r": 8}, batching=batching, **settings)
    before = LanguageModel(str(families[family]))
    encoded = [before.encoder().encode(example) for example in NAMES.train]
    likely = before.log_likelihoods(encoded)
    learner.learn(NAMES, NOTHING)
    # The first step's loss is that of the model, whose positions tests/models compares with transformers' own.
    nats, tokens = sum(one.nats for one in likely), sum(one.tokens for one in likely)
    assert learner.log[0]["loss"] == pytest.approx(-nats / tokens, rel=1e-5)
    assert [answer.text for answer in learner.answer(TURNED, 6)] == list(reversed(WORDS))
    trained = [name for name, weight in learner._weights.model.named_parameters() if weight.requires_grad]
    assert trained
    assert not any("vis" in name or "connector" in name for name in trained)


def vectors(texts: Any) -> Any:
    return np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]


@pytest.mark.parametrize("family", ["qwen2_vl", "smolvlm"])
def test_dual_increments_learn_it_too_and_one_batch_equals_one_by_one(families: dict[str, Path], family: str) -> None:
    ours = {"keys": 4, "chosen": 2, "rank": 8, "embedder": vectors, "alignment_steps": 10, "learning_rate": 0.02}
    learner = DualIncrement(str(families[family]), **ours, precision="fp32", batch_size=3, epochs=150, max_length=256)
    learner.learn(NAMES, NOTHING)
    chosen = [
        max(zip(one, WORDS, strict=True))[1] for one in learner.choose([replace(q, options=WORDS) for q in TURNED])
    ]
    assert chosen == list(reversed(WORDS))
    assert [one.text for one in learner.answer(TURNED, 3)] == [learner.answer([q], 3)[0].text for q in TURNED]
    stored = list(load_file(families[family] / "model.safetensors").values())
    assert all(any(weight.equal(one) for one in stored) for weight in learner.model.model.parameters())
    asked = [*TURNED, Question("Which?", images=SHOWN[:2]), Question("Nothing is shown.")]
    together = learner.log_likelihoods(asked, ["d"] * 5)
    alone = [learner.log_likelihoods([one], ["d"])[0].nats for one in asked]
    assert [one.nats for one in together] == pytest.approx(alone, rel=1e-5)
    options = [replace(one, options=("cat", "a dog")) for one in asked]
    for found, one in zip(learner.choose(options), options, strict=True):
        assert found == pytest.approx(learner.choose([one])[0], rel=1e-5)


@pytest.mark.parametrize("learner", ["fine_tune", "dual_increment"])
def test_a_whole_run_of_qwen_vl(
    families: dict[str, Path], learner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    params = {} if learner == "fine_tune" else {"keys": 4, "chosen": 2, "rank": 2, "alignment_steps": 3}
    adapter = {"adapter": {"r": 4}} if learner == "fine_tune" else {}
    replay = {"strategy": "random", "budget": {"per_task": 4}} if learner == "fine_tune" else {"strategy": "none"}
    run = inscl.run(
        {
            "stream": {"path": str(picture_stream(tmp_path / "stream")), "order": ["names", "words"]},
            "model": {"name": str(families["qwen2_vl"]), "keep": "last", "precision": "fp32", **adapter},
            "replay": replay,
            "training": {"learner": learner, "params": params, "epochs": 1, "batch_size": 8},
            "evaluation": {"max_new_tokens": 3, "metrics": ["exact_match", "answer_loss"]},
            "output_dir": str(tmp_path / "run"),
        }
    )
    assert run.metrics["answer_loss"]["average_performance"] > 0
    asked = read_jsonl(run.path / "stages" / "02-words" / "predictions" / "names.jsonl")
    assert {len(row["images"]) for row in asked} == {1}
    assert inscl.write_report([run.path]).is_file()
    if learner == "dual_increment":
        return
    replayed = read_jsonl(run.path / "stages" / "02-words" / "replay.jsonl")
    assert {len(row["images"]) for row in replayed} == {1}
    made = export(run.path, "llama-factory", tmp_path / "out", merged=True)
    assert "template: qwen2_vl" in (made.folder / "llama_factory.yaml").read_text()
    # The exported model reads pictures as the run's did, rounded once to bf16.
    exported = LanguageModel(str(made.folder / "model"))
    learned = FineTune(str(families["qwen2_vl"]), adapter={"kind": "lora", "r": 4}, precision="fp32")
    learned.load(run.path / "stages" / "02-words" / "model")
    theirs = exported.log_likelihoods([exported.encoder().encode(example) for example in NAMES.train])
    mine = learned.log_likelihoods([Question.of(example) for example in NAMES.train], list(WORDS))
    assert [one.nats for one in theirs] == pytest.approx([one.nats for one in mine], rel=0.02)
