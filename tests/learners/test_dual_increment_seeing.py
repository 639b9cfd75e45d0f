"""Dual increments on a tiny LLaVA: rows with pictures get increments of their own, in the part that reads alone."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import inscl
from asking import NOTHING
from inscl.contract import Example, Question, Task
from inscl.contract.seams import NullProgress
from inscl.errors import DataError
from inscl.learners import DualIncrement
from inscl.learners.increments.applying import shapes
from inscl.learners.increments.pool import digest_of
from pictures import image, picture_stream

WORDS = ("cat", "dog", "sun", "ape")
NAMES = Task("names", tuple(Example("Name it.", "", (WORDS[k],), "names", images=(image(k),)) for k in range(4)), ())
COLOURS = Task(
    "colours",
    tuple(Example("Its colour?", "Say one.", (f"hue{k}",), "colours", images=(image(4 + k),)) for k in range(4)),
    (),
)
PAIR = Task("pair", (Example("Which zoo?", "", ("second",), "pair", images=(image(1), image(2))),), ())
ASKED = [
    Question("Name it.", images=(image(1),), options=("cat", "dog", "a sun")),
    Question("Its colour?", "Look at <image> and say it soon.", images=(image(4),), options=("hue0", "hue1")),
    Question("Which zoo?", images=(image(2), image(3)), options=("first", "second")),
    Question("Its colour?", "Of the sky.", options=("blue", "grey")),
]


def vectors(texts: Any) -> Any:
    return np.eye(8, dtype=np.float32)[[("colour" in t) + 2 * ("zoo" in t) for t in texts]]


def dual(model: Path, **settings: Any) -> DualIncrement:
    ours = {"keys": 8, "chosen": 2, "rank": 4, "embedder": vectors, "alignment_steps": 20, "learning_rate": 0.02}
    rest = {"precision": "fp32", "batch_size": 4, "epochs": 8, "max_length": 256}
    return DualIncrement(str(model), **{**ours, **rest, **settings})


@pytest.fixture(scope="module")
def taught(tiny_llava: Path) -> DualIncrement:
    """Three stages, so that the contextual increment isn't zero; not to be taught any more."""
    one = dual(tiny_llava)
    for task in (NAMES, COLOURS, PAIR):
        one.learn(task, NOTHING)
    return one


def test_it_learns_which_picture_has_which_name_and_the_part_that_sees_stays(tiny_llava: Path) -> None:
    from safetensors.torch import load_file

    one = dual(tiny_llava, epochs=60, rank=8)
    report = one.learn(NAMES, NOTHING)
    assert report.tokens == 60 * sum(map(one.count_tokens, NAMES.train))
    for shown, words in ((range(4), WORDS), (reversed(range(4)), tuple(reversed(WORDS)))):
        # The question alone doesn't say it.
        asked = [Question("Name it.", images=(image(k),)) for k in shown]
        assert tuple(answer.text for answer in one.answer(asked, 6)) == words
    stored, network = load_file(tiny_llava / "model.safetensors"), one.model.model
    assert one.pool is not None
    assert set(one.pool.up) == set(shapes(network)) == {f"layers.{k}.self_attn.o_proj" for k in range(2)}
    weights = [weight for _, weight in sorted(network.named_parameters())]
    assert sum(any(w.equal(t) for t in stored.values()) for w in weights) == len(weights)


def test_one_batch_of_pictures_and_increments_equals_one_by_one(taught: DualIncrement) -> None:
    answers = ["dog", "a longer answer", "", "blue"]
    together = taught.log_likelihoods(ASKED, answers)
    alone = [taught.log_likelihoods([one], [said])[0] for one, said in zip(ASKED, answers, strict=True)]
    assert [one.nats for one in together] == pytest.approx([one.nats for one in alone], rel=1e-5)
    assert [(one.tokens, one.correct) for one in together] == [(one.tokens, one.correct) for one in alone]
    assert [one.text for one in taught.answer(ASKED, 6)] == [taught.answer([one], 6)[0].text for one in ASKED]
    for found, one in zip(taught.choose(ASKED), ASKED, strict=True):
        assert found == pytest.approx(taught.choose([one])[0], rel=1e-5)


def test_a_row_is_what_transformers_reads_with_increments_added_into_its_weights(
    tiny_llava: Path, taught: DualIncrement
) -> None:
    from transformers import AutoProcessor, LlavaForConditionalGeneration

    pool = taught.pool
    assert pool is not None
    assert any(abs(weight) > 1e-3 for weight in pool.weights.values())
    processor, asked = AutoProcessor.from_pretrained(tiny_llava), ASKED[::2]
    for question, one in zip(asked, taught.log_likelihoods(asked, ["dog"] * 2), strict=True):
        network = LlavaForConditionalGeneration.from_pretrained(tiny_llava, dtype=torch.float32).eval()
        chosen = pool.choose(torch.from_numpy(vectors([question.instruction])), 2)
        with torch.no_grad():
            for name, module in network.get_decoder().named_modules():
                if name.endswith("o_proj"):
                    for place, share in zip(chosen.places[0], chosen.shares[0], strict=True):
                        module.weight += share * pool.up[name][place] @ pool.down[name][place]
                    for task, weight in pool.weights.items():
                        module.weight += weight * pool.averages[task].up[name] @ pool.averages[task].down[name]
        said = [{"role": "user", "content": "<image>" * len(question.images) + f"\n{question.prompt}"}]
        text = processor.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
        shown = [Pillow.open(BytesIO(picture.content)).convert("RGB") for picture in question.images]
        inputs = processor(text=text, images=shown, return_tensors="pt")
        answer = [*processor.tokenizer("dog").input_ids, processor.tokenizer.eos_token_id]
        ids = torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1)
        with torch.no_grad():
            logits = network(input_ids=ids, pixel_values=inputs["pixel_values"]).logits[0].double().log_softmax(-1)
        begins = ids.shape[1] - len(answer)
        expected = sum(float(logits[begins - 1 + k, token]) for k, token in enumerate(answer))
        assert one.nats == pytest.approx(expected, rel=1e-5)


def test_what_an_earlier_task_left_is_the_same_bits_and_a_saved_state_answers_as_before(
    tiny_llava: Path, tmp_path: Path
) -> None:
    one = dual(tiny_llava)
    saved = []
    for task in (NAMES, COLOURS):
        one.learn(task, NOTHING)
        (tmp_path / task.name).mkdir()
        one.save(tmp_path / task.name)
        saved.append(one.pool)
    file = f"average-{digest_of('names')}.safetensors"
    assert (tmp_path / "names" / file).read_bytes() == (tmp_path / "colours" / file).read_bytes()
    first, second = saved
    assert first is not None
    assert second is not None
    same = (second.used == first.used).nonzero()[:, 0]
    assert (first.used[same] > 0).any()
    assert torch.equal(first.keys[same], second.keys[same])
    for name in first.up:
        assert torch.equal(first.up[name][same], second.up[name][same])
        assert torch.equal(first.down[name][same], second.down[name][same])
        assert not torch.equal(first.up[name], second.up[name])
    other = dual(tiny_llava)
    other.load(tmp_path / "colours")
    assert other.choose(ASKED) == one.choose(ASKED)
    assert other.answer(ASKED, 4) == one.answer(ASKED, 4)


def test_a_model_of_texts_and_a_picture_that_doesnt_fit_are_refused(tiny_model: Path, tiny_llava: Path) -> None:
    with pytest.raises(DataError, match="has images, and this model reads text alone"):
        dual(tiny_model).learn(NAMES, NOTHING)
    short = dual(tiny_llava, max_length=40)
    many = replace(NAMES.train[0], images=tuple(map(image, range(8))))
    with pytest.raises(DataError, match="tokens with its pictures, and there is room for"):
        short.learn(Task("many", (many,), ()), NOTHING)
    assert (short.stage, short.pool) == (0, None)


class Stops(NullProgress):
    """Interrupts the third stage."""

    def stage(self, number: int, count: int, task: str) -> None:
        if number == 3:
            raise KeyboardInterrupt


def test_a_run_with_pictures_that_is_killed_ends_with_the_same_bytes(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSCL_CACHE", str(tmp_path / "cache"))
    stream = picture_stream(tmp_path / "stream")
    params = {"keys": 6, "chosen": 2, "rank": 2, "alignment_steps": 5}  # and the embedder is the model itself

    def config(name: str) -> dict[str, Any]:
        return {
            "stream": {"path": str(stream), "order": ["names", "sizes", "words"]},
            "model": {"name": str(tiny_llava), "keep": "all", "precision": "fp32"},
            "replay": {"strategy": "none"},
            "training": {"learner": "dual_increment", "params": params, "epochs": 1, "batch_size": 8},
            "evaluation": {"max_new_tokens": 3, "metrics": ["exact_match", "answer_loss"]},
            "output_dir": str(tmp_path / name),
        }

    whole = inscl.run(config("whole"))
    with pytest.raises(KeyboardInterrupt):
        inscl.run(config("killed"), progress=Stops())
    again = inscl.run(config("killed"))
    names = ("scores.json", "metrics.json", "predictions/*.jsonl", "model/*")
    kept = [
        {file.relative_to(run.path): file.read_bytes() for name in names for file in run.path.rglob(name)}
        for run in (whole, again)
    ]
    assert len(kept[0]) > 12
    assert kept[0] == kept[1]
