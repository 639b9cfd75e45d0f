"""Pictures as tokens: the same numbers as transformers' own model gives for the pictures themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image as Pillow

from inscl.contract import Example, Question
from inscl.contract.example import Image, Turn
from inscl.errors import DataError, ModelError
from inscl.models import picture_tokens as module
from inscl.models.language_model import LanguageModel
from inscl.models.packed_attention import packed_attention
from inscl.models.picture_tokens import FIRST, PictureTokens, decoder_of, freeze_sight, sees_pictures, sight
from inscl.models.shared_weights import network_in
from pictures import image
from seeing_models import QWEN, SMOLVLM, make_qwen, make_smolvlm

ONE, TWO, WIDE = image(1, size=(16, 12)), image(2, size=(12, 16)), image(3, size=(40, 16))
BOTH = Example("Which is larger?", "", ("the cat",), images=(ONE, TWO))
ASKED = [
    BOTH,
    Example("Name <image>.", "", ("a dog",), images=(TWO,)),
    Example("Say", "hello", ("hello",)),
    Example(
        "Is it red?",
        "Why?",
        ("It is not.",),
        turns=(Turn("user", "Is it <image> red?"), Turn("assistant", "No."), Turn("user", "Is this? <image>")),
        images=(ONE, TWO),
    ),
]


@pytest.fixture(scope="module", params=SMOLVLM)
def tiny_smolvlm(tmp_path_factory: pytest.TempPathFactory, tiny_llava: Path, request: pytest.FixtureRequest) -> Path:
    return make_smolvlm(request.param, tiny_llava, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=QWEN)
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, request: pytest.FixtureRequest) -> Path:
    return make_qwen(request.param, tiny_model, tmp_path_factory.mktemp(request.param))


class Reference:
    """transformers' model and processor, used as its documentation shows."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self.processor = AutoProcessor.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    def inputs(self, example: Example) -> dict[str, Any]:
        said = [(turn.role, turn.content) for turn in Question.of(example).conversation]
        if example is BOTH:  # its data has no markers, so that the pictures come first
            said = [("user", f"<image><image>\n{example.prompt}")]
        messages = [{"role": role, "content": text} for role, text in said]
        text = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        shown = [Pillow.open(BytesIO(one.content)).convert("RGB") for one in example.images]
        return dict(self.processor(text=text, images=shown or None, return_tensors="pt"))

    def nats(self, example: Example) -> float:
        inputs = self.inputs(example)
        tokenizer = self.processor.tokenizer
        answer = [*tokenizer(example.output, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
        begins = inputs["input_ids"].shape[1]
        ids = torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1)
        pixels = {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
        if "mm_token_type_ids" in pixels:
            texts = torch.zeros(1, len(answer), dtype=torch.long)
            pixels["mm_token_type_ids"] = torch.cat([pixels["mm_token_type_ids"], texts], dim=1)
        with torch.no_grad():
            found = self.model(input_ids=ids, **pixels).logits[0].log_softmax(-1)
        return sum(float(found[begins - 1 + k, token]) for k, token in enumerate(answer))

    def greedy(self, example: Example, count: int) -> list[int]:
        inputs = self.inputs(example)
        found = self.model.generate(**inputs, max_new_tokens=count, do_sample=False)
        return found[0, inputs["input_ids"].shape[1] :].tolist()


class QwenReference(Reference):
    """The model of transformers, with its processor's work done by hand: it can't be opened without torchvision."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForImageTextToText, AutoTokenizer, Qwen2VLImageProcessorPil

        self.processor = SimpleNamespace(tokenizer=AutoTokenizer.from_pretrained(folder))
        self.pixels = Qwen2VLImageProcessorPil.from_pretrained(folder)
        self.model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()

    def inputs(self, example: Example) -> dict[str, Any]:
        tokenizer = self.processor.tokenizer
        said = [(turn.role, turn.content) for turn in Question.of(example).conversation]
        if example is BOTH:
            said = [("user", f"<image><image>\n{example.prompt}")]
        messages = [{"role": role, "content": text} for role, text in said]
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        seen: dict[str, Any] = {}
        if example.images:
            shown = [Pillow.open(BytesIO(one.content)).convert("RGB") for one in example.images]
            seen = dict(self.pixels(images=shown, return_tensors="pt"))
            for grid in seen["image_grid_thw"]:
                pads = "<|image_pad|>" * (int(grid.prod()) // 4)
                text = text.replace("<image>", f"<|vision_start|>{pads}<|vision_end|>", 1)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False).input_ids
        if example.images:
            pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
            seen["mm_token_type_ids"] = (ids == pad).long()
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **seen}


@pytest.fixture(scope="module")
def reference(tiny_llava: Path) -> Reference:
    return Reference(tiny_llava)


@pytest.fixture(scope="module")
def model(tiny_llava: Path) -> LanguageModel:
    return LanguageModel(str(tiny_llava))


def test_which_models_see(tiny_llava: Path, tiny_model: Path, tmp_path: Path) -> None:
    assert sees_pictures(tiny_llava)
    assert not sees_pictures(tiny_model)
    with pytest.raises(ModelError, match=r"config\.json"):
        sees_pictures(tmp_path)


def test_likelihoods_are_those_of_the_pictures_themselves(model: LanguageModel, reference: Reference) -> None:
    encoder = model.encoder()
    found = model.log_likelihoods([encoder.encode(example) for example in ASKED])
    assert [one.nats for one in found] == pytest.approx([reference.nats(example) for example in ASKED], rel=1e-5)
    other = encoder.encode(replace(BOTH, images=(TWO, ONE)))
    assert abs(model.log_likelihoods([other])[0].nats - found[0].nats) > 1e-3


def test_tiles_and_the_tokens_around_them_are_read_too(tiny_smolvlm: Path) -> None:
    model, reference = LanguageModel(str(tiny_smolvlm)), Reference(tiny_smolvlm)
    encoder = model.encoder()
    tokens = PictureTokens(tiny_smolvlm).of(ONE)
    assert {token >= FIRST for token in tokens} == {True, False}
    found = model.log_likelihoods([encoder.encode(example) for example in ASKED])
    assert [one.nats for one in found] == pytest.approx([reference.nats(example) for example in ASKED], rel=1e-5)


def test_pictures_with_positions_of_their_own(tiny_qwen: Path) -> None:
    model, reference = LanguageModel(str(tiny_qwen)), QwenReference(tiny_qwen)
    encoder = model.encoder()
    sizes = [len(PictureTokens(tiny_qwen).of(one)) - 2 for one in (ONE, WIDE)]
    assert min(sizes) > 1  # otherwise counting would do
    asked = [*ASKED, replace(ASKED[1], input="A much longer one, please.", images=(WIDE,))]
    found = model.log_likelihoods([encoder.encode(example) for example in asked])
    assert [one.nats for one in found] == pytest.approx([reference.nats(example) for example in asked], rel=1e-5)
    # Options and generated tokens read on after pictures that were read before.
    one, options = ASKED[1], ("a cat", "a dog")
    prompt = encoder.asked(Question.of(one)).tokens
    (weighed,) = model.option_likelihoods([prompt], [[encoder.answer(option) for option in options]])
    answered = [replace(one, outputs=(option,)) for option in options]
    apart = [reference.nats(one) for one in answered]
    assert [one.nats for one in weighed] == pytest.approx(apart, rel=1e-5)
    answers = model.generate([encoder.asked(Question.of(example)).tokens for example in ASKED], max_new_tokens=6)
    for example, answer in zip(ASKED, answers, strict=True):
        wanted: Sequence[int] = reference.greedy(example, 6)
        end = next((k for k, token in enumerate(wanted) if token in model.end_tokens), len(wanted))
        assert answer == wanted[:end]


def test_a_model_whose_later_layers_see_too_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match="Qwen3VLForConditionalGeneration reads pictures in a way of its own"):
        network_in(make_qwen("qwen3_vl", tiny_model, tmp_path), torch.float32, "cpu")


def test_answers_are_those_of_the_pictures_themselves(model: LanguageModel, reference: Reference) -> None:
    prompts = [model.encoder().asked(Question.of(example)).tokens for example in ASKED]
    found = model.generate(prompts, max_new_tokens=6)
    ends = model.end_tokens
    for example, answer in zip(ASKED, found, strict=True):
        wanted: Sequence[int] = reference.greedy(example, 6)
        end = next((k for k, token in enumerate(wanted) if token in ends), len(wanted))
        assert answer == wanted[:end]


def test_options_are_weighed_after_the_pictures(model: LanguageModel) -> None:
    encoder, options = model.encoder(), ("a cat", "a dog")
    prompt = encoder.asked(Question.of(BOTH)).tokens
    (found,) = model.option_likelihoods([prompt], [[encoder.answer(option) for option in options]])
    apart = model.log_likelihoods([encoder.encode(replace(BOTH, outputs=(option,))) for option in options])
    assert [one.nats for one in found] == pytest.approx([one.nats for one in apart], rel=1e-5)


def test_tokens_name_the_picture_and_nothing_else(tiny_llava: Path) -> None:
    tokens, again = PictureTokens(tiny_llava), PictureTokens(tiny_llava)
    renamed = replace(ONE, path="elsewhere.png")
    assert tokens.of(ONE) == again.of(renamed)
    assert len(tokens.of(ONE)) == 4
    assert min(tokens.of(ONE)) >= FIRST
    assert set(tokens.of(ONE)).isdisjoint(tokens.of(TWO))
    twin = Image("twin.png", ONE.digest[:12] + "f" * 52, ONE.read)
    tokens._known[twin.digest] = tokens.of(ONE)
    with pytest.raises(ModelError, match="begin with the same digits"):
        tokens.of(twin)


def test_features_are_kept_as_long_as_there_is_room(tiny_llava: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_in(tiny_llava, torch.float32, "cpu")
    reader, seen = network.picture_reader, []
    monkeypatch.setattr(
        PictureTokens, "inputs", lambda self, one, real=PictureTokens.inputs: seen.append(one) or real(self, one)
    )
    size = 4 * 32 * 4  # four vectors of 32 numbers
    monkeypatch.setattr(module, "_MOST_BYTES", 2 * size)
    three = [image(k) for k in range(3)]
    keys = [(reader.tokens.of(one)[0] - FIRST) >> 12 for one in three]
    seen.clear()
    for key, reads in zip([0, 1, 0, 2, 0, 1], [1, 1, 0, 1, 0, 1], strict=True):
        before = len(seen)
        reader.features(keys[key])
        assert len(seen) - before == reads
    assert reader._bytes == 2 * size


def test_a_model_that_reads_pictures_in_a_way_of_its_own_is_refused(
    tiny_llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaModel

    forward = LlamaModel.forward

    def shifted(self: Any, *arguments: Any, **settings: Any) -> Any:
        # As with positions of pictures' own, which the tokens alone wouldn't have.
        if settings.get("input_ids") is None and settings["inputs_embeds"].shape[1] == 9 and not shifted.done:
            shifted.done = True
            settings["position_ids"] = torch.arange(9)[None] * 3
        return forward(self, *arguments, **settings)

    shifted.done = False  # type: ignore[attr-defined]
    monkeypatch.setattr(LlamaModel, "forward", shifted)
    with pytest.raises(ModelError, match="reads pictures in a way of its own"):
        network_in(tiny_llava, torch.float32, "cpu")


def test_a_model_without_a_processor_is_refused(tiny_llava: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"no token for pictures|can.t load"):
        PictureTokens(tiny_model)


def test_what_sees_is_apart_from_what_reads(tiny_llava: Path, tiny_model: Path) -> None:
    import re

    network = network_in(tiny_llava, torch.float32, "cpu")
    pattern = re.compile(sight(network))
    names = {name: bool(pattern.fullmatch(name)) for name, _ in network.named_modules() if name}
    assert {name for name, sees in names.items() if not sees and "vision" in name} == set()
    assert {name for name, sees in names.items() if sees and ".layers." in name and "language_model" in name} == set()
    freeze_sight(network)
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert trained
    assert not any("vision" in name or "projector" in name for name in trained)
    plain = network_in(tiny_model, torch.float32, "cpu")
    assert sight(plain) == ""
    assert decoder_of(plain) is plain
    freeze_sight(plain)
    assert all(weight.requires_grad for weight in plain.parameters())


def test_packed_attention_leaves_the_encoder_alone(tiny_llava: Path) -> None:
    network = network_in(tiny_llava, torch.float32, "cpu")
    with packed_attention(network):
        assert network.get_decoder().config._attn_implementation == "inscl_packed"
        assert network.config.vision_config._attn_implementation == "sdpa"
    assert network.get_decoder().config._attn_implementation == "sdpa"


def test_a_question_with_pictures_is_never_shortened(model: LanguageModel) -> None:
    encoder = model.encoder(max_length=30)
    with pytest.raises(DataError, match="tokens with its pictures, and there is room for"):
        encoder.encode(BOTH)
    assert encoder.encode(replace(BOTH, images=())).truncated
    whole = model.encoder()
    assert whole.count_tokens(BOTH) == len(whole.encode(BOTH).tokens)


def test_a_model_of_texts_says_that_it_sees_nothing(tiny_model: Path) -> None:
    with pytest.raises(DataError, match="has images, and this model reads text alone"):
        LanguageModel(str(tiny_model)).encoder().encode(BOTH)
