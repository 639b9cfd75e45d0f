"""An image-text model taught and asked: a tiny LLaVA through learners, a run, resuming, a report and an export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pillow

import inscl
from inscl.contract import Example, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import NullProgress
from inscl.errors import DataError
from inscl.handover import export
from inscl.learners.asking import Asking
from inscl.learners.fine_tune import FineTune
from inscl.models.language_model import LanguageModel
from inscl.storage.files.atomic import read_json, read_jsonl
from pictures import image, picture, picture_stream

WORDS = ("cat", "dog", "sun", "ape")
NAMES = Task("names", tuple(Example("Name it.", "", (WORDS[k],), "names", images=(image(k),)) for k in range(4)))
NOTHING = ReplayPlan.nothing("names")


def made(model: Path, **settings: Any) -> FineTune:
    usual = {"adapter": {"kind": "lora", "r": 8}, "epochs": 30, "learning_rate": 1e-2, "batch_size": 4, "seed": 1}
    return FineTune(str(model), **{"precision": "fp32", **usual, **settings})


def said(learner: FineTune, task: Task = NAMES) -> list[str]:
    return [answer.text for answer in learner.answer(list(map(Question.of, task.train)), 6)]


@pytest.mark.parametrize("batching", ["pack", "length"])
def test_it_learns_which_picture_has_which_name(tiny_llava: Path, batching: str) -> None:
    learner = made(tiny_llava, batching=batching)
    assert said(learner) != list(WORDS)
    report = learner.learn(NAMES, NOTHING)
    assert said(learner) == list(WORDS)
    assert report.tokens == 30 * sum(map(learner.count_tokens, NAMES.train))
    # The question alone doesn't say it: with other pictures the answers are other ones.
    turned = Task("names", tuple(replace(one, images=(image(3 - k),)) for k, one in enumerate(NAMES.train)))
    assert said(learner, turned) == list(reversed(WORDS))
    trained = [name for name, weight in learner._weights.model.named_parameters() if weight.requires_grad]
    assert trained
    assert not any("vision" in name or "projector" in name for name in trained)


def test_the_loss_is_that_of_transformers_own_model(tiny_llava: Path) -> None:
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    learner = made(tiny_llava, epochs=1)
    learner.learn(NAMES, NOTHING)
    processor = AutoProcessor.from_pretrained(tiny_llava)
    model = LlavaForConditionalGeneration.from_pretrained(tiny_llava, dtype=torch.float32).eval()
    total, count = 0.0, 0
    for example in NAMES.train:
        said = [{"role": "user", "content": f"<image>\n{example.prompt}"}]
        text = processor.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
        pixels = Pillow.open(BytesIO(example.images[0].content)).convert("RGB")
        inputs = processor(text=text, images=pixels, return_tensors="pt")
        answer = [*processor.tokenizer(example.output).input_ids, processor.tokenizer.eos_token_id]
        ids = torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1)
        labels = ids.clone()
        labels[:, : -len(answer)] = -100
        with torch.no_grad():
            total += len(answer) * float(model(input_ids=ids, pixel_values=inputs["pixel_values"], labels=labels).loss)
        count += len(answer)
    assert learner.log[0]["loss"] == pytest.approx(total / count, rel=1e-5)


def test_every_weight_that_reads_is_trained_and_comes_back(tiny_llava: Path, tmp_path: Path) -> None:
    learner = made(tiny_llava, adapter=None, epochs=6, learning_rate=1e-3)
    before = {name: weight.clone() for name, weight in learner._weights.model.named_parameters()}
    learner.learn(NAMES, NOTHING)
    changed = {name for name, weight in learner._weights.model.named_parameters() if not weight.equal(before[name])}
    assert changed
    assert not any("vision" in name or "projector" in name for name in changed)
    learner.save(tmp_path)
    again = made(tiny_llava, adapter=None)
    again.load(tmp_path)
    assert said(again) == said(learner)


def test_in_bf16(tiny_llava: Path) -> None:
    learner = made(tiny_llava, precision="bf16", epochs=40)
    learner.learn(NAMES, NOTHING)
    assert said(learner) == list(WORDS)


def test_a_learner_of_texts_refuses_pictures_whatever_its_model_sees(tiny_llava: Path) -> None:
    asking = Asking(LanguageModel(str(tiny_llava)), "chat", 256, 4, NullProgress())
    asked = [Question("Name it.", images=(image(1),), options=("a", "b"))]
    for ask in (
        lambda: asking.answer(asked, 4),
        lambda: asking.log_likelihoods(asked, ["a"]),
        lambda: asking.choose(asked),
    ):
        with pytest.raises(DataError, match="has images, and this learner reads text alone"):
            ask()


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    return picture_stream(tmp_path / "stream")


def config(stream: Path, model: Path, out: Path) -> dict[str, Any]:
    return {
        "stream": {"path": str(stream), "order": ["names", "sizes", "words"]},
        "model": {"name": str(model), "adapter": {"r": 4}, "keep": "last", "precision": "fp32"},
        "replay": {"strategy": "random", "budget": {"per_task": 4}},
        "training": {"epochs": 1, "batch_size": 8},
        "evaluation": {"max_new_tokens": 4, "metrics": ["exact_match", "answer_loss"]},
        "output_dir": str(out),
    }


class Stops(NullProgress):
    """Interrupts the third stage."""

    def stage(self, number: int, count: int, task: str) -> None:
        if number == 3:
            raise KeyboardInterrupt


def test_a_run_with_pictures_is_resumed_reported_and_exported(
    tiny_llava: Path, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    whole = inscl.run(config(stream, tiny_llava, tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        inscl.run(config(stream, tiny_llava, tmp_path / "halted"), progress=Stops())
    resumed = inscl.run(config(stream, tiny_llava, tmp_path / "halted"))
    assert resumed.metrics == whole.metrics
    for stage in ("02-sizes", "03-words"):
        replayed = read_jsonl(whole.path / "stages" / stage / "replay.jsonl")
        assert replayed == read_jsonl(resumed.path / "stages" / stage / "replay.jsonl")
        assert {len(row["images"]) for row in replayed} == {1}
        asked = [
            read_jsonl(path / "stages" / stage / "predictions" / "names.jsonl") for path in (whole.path, resumed.path)
        ]
        assert asked[0] == asked[1]
        assert {len(row["images"]) for row in asked[0]} == {1}
    assert read_json(whole.path / "scores.json") == read_json(resumed.path / "scores.json")
    assert inscl.write_report([whole.path]).is_file()
    made = export(whole.path, "llama-factory", tmp_path / "out", stage=2)
    assert "template: llava" in (made.folder / "llama_factory.yaml").read_text()
    rows = read_jsonl(made.folder / "train.jsonl")
    assert {len(row["images"]) for row in rows} == {1}
    assert made.replayed == 4


def test_a_merged_model_opens_in_transformers_and_sees(
    tiny_llava: Path, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    run = inscl.run(config(stream, tiny_llava, tmp_path / "run"))
    export(run.path, None, tmp_path / "out", merged=True)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out" / "model", dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(tmp_path / "out" / "model")
    learner = made(tiny_llava, adapter={"kind": "lora", "r": 4})
    learner.load(run.path / "stages" / "03-words" / "model")
    question = Question("Name it.", images=(image(2),))
    prompt = learner.encoder.asked(question)
    with torch.no_grad(), learner._weights.reading():
        ours = learner._weights.model(input_ids=torch.tensor([prompt.tokens])).logits[0, -1]
    said = [{"role": "user", "content": "<image>\nName it."}]
    text = processor.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    pixels = Pillow.open(BytesIO(picture(2))).convert("RGB")
    with torch.no_grad():
        theirs = model(**processor(text=text, images=pixels, return_tensors="pt")).logits[0, -1]
    # It was rounded to bf16 once.
    assert float((ours - theirs).abs().max()) < 0.05 * float(ours.abs().max())


def test_a_workspace_learns_and_asks_about_pictures(
    tiny_llava: Path, stream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    changes = [
        "model.adapter.r=4",
        "training.epochs=1",
        "replay.strategy=random",
        "replay.budget.per_task=4",
        "evaluation.max_new_tokens=4",
    ]
    workspace = inscl.Workspace.init(tmp_path / "ws", str(tiny_llava), changes=changes)
    workspace.learn(stream / "names.jsonl")
    workspace.learn(stream / "sizes.jsonl")
    kept: Callable[[int], int] = lambda number: sum(  # noqa: E731
        file.read_bytes().count(picture(number)) for file in workspace.path.rglob("*") if file.is_file()
    )
    assert {kept(k) for k in range(20)} == {1}
    shown = [stream / "pics" / f"{k}.png" for k in (0, 1)]
    answers = [workspace.ask("Name it.", pictures=[path]) for path in shown]
    learner = made(tiny_llava, adapter={"kind": "lora", "r": 4}, precision="auto")
    learner.load(workspace.path / "stages" / "02-sizes" / "model")
    asked = [Question("Name it.", images=(image(k),)) for k in (0, 1)]
    assert answers == [answer.text for answer in learner.answer(asked, 4)]
    with pytest.raises(DataError, match=r"has 1 picture\(s\) and 2 <image>: write one for each picture"):
        workspace.ask("Is <image> like <image>?", pictures=shown[:1])
    with pytest.raises(DataError, match=r"there is no picture 'gone\.png'"):
        workspace.ask("Name it.", pictures=[stream / "gone.png"])
    workspace.erase("names")
    assert {kept(k) for k in range(10)} == {0}
    assert {kept(k) for k in range(10, 20)} == {1}
