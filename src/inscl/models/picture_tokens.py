r"""Pictures as tokens beyond the vocabulary, for image-text models that put a picture's features among its embeddings.

Such a model (LLaVA, SmolVLM and their kin) turns a picture into vectors with an encoder and a projector, and puts these
where its text has placeholders. Here each placeholder is a token of its own, known by the picture's content:

.. math:: e(\mathrm{token}(p, j)) = f_j(p)

with :math:`f_j(p)` the j-th vector of picture p. Prompts then stay rows of token ids, so that packing, shared
beginnings, caches, likelihoods and training need to know nothing of pictures. Encoder and projector are frozen; what
they make of a picture is computed when it is read, without gradients, and kept as long as there is room.

Models whose pictures have positions of their own (Qwen2-VL, Qwen2.5-VL) get them from `inscl.models.picture_places`.
Those that give pictures attention of their own (Gemma 3) or more vectors in later layers (Qwen3-VL) would read
something else. Whether a model reads the tokens as it reads the pictures themselves is tried out once, and one that
doesn't is refused.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from inscl.contract.example import Image
from inscl.data.pictures import upright
from inscl.errors import ModelError
from inscl.models import names as model_names
from inscl.models.picture_places import own_places, placed
from inscl.models.picture_processor import processor_in
from inscl.storage.files.atomic import read_json

__all__ = [
    "FIRST",
    "PictureTokens",
    "decoder_of",
    "freeze_sight",
    "places_pictures",
    "read_pictures",
    "sees_pictures",
    "sight",
]

FIRST = 1 << 62
"""The first id of a picture's tokens: far beyond any vocabulary. 48 bits of its digest and a place follow."""
_PLACES = 1 << 12
_MOST_BYTES = 1 << 30
"""Bytes of features that are kept for a network."""
_TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
"""Largest difference of logits, relative to the largest logit, that rounding may make."""

_pictures: dict[int, Image] = {}
"""Key of a picture -> the picture, for whoever reads its tokens in this process."""
_lock = threading.RLock()


def sees_pictures(folder: Path) -> bool:
    """Whether transformers has the model in a folder as an image-text model, and not as a causal language model."""
    try:
        kind = read_json(folder / "config.json").get("model_type")
    except Exception as error:
        raise ModelError(f"can't read {folder / 'config.json'}: {error}") from error
    causal, seeing = _kinds()
    return kind in seeing and kind not in causal


@cache
def _kinds() -> tuple[frozenset[str], frozenset[str]]:
    from transformers.models.auto import modeling_auto as auto

    causal, seeing = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    return frozenset(causal), frozenset(seeing)


class PictureTokens:
    """What stands for pictures in the prompts of the model in a folder.

    Args:
        folder: The model's; its processor must be there.

    Raises:
        MissingExtraError: Pillow isn't installed.
        ModelError: It has no processor, or none with a token for pictures.
    """

    def __init__(self, folder: Path) -> None:
        self.processor = processor_in(folder)
        self.token = getattr(self.processor, "image_token", None)
        if not isinstance(self.token, str):
            raise ModelError(f"the processor in {folder} has no token for pictures, so nothing says where they stand")
        self.placeholder = int(self.processor.tokenizer.convert_tokens_to_ids(self.token))
        config = read_json(folder / "config.json")
        # Qwen-VL's chat template has these around a picture, not its processor.
        around = (config.get("vision_start_token_id"), config.get("vision_end_token_id"))
        self._before, self._behind = ([] if token is None else [int(token)] for token in around)
        self._known: dict[str, list[int]] = {}

    def of(self, image: Image) -> list[int]:
        """Token ids that stand for a picture: its own, and those that the model has around it.

        Raises:
            DataError: Its bytes aren't at hand any more.
            ModelError: Its own tokens are too many.
        """
        if image.digest not in self._known:
            given = self.inputs(image)["input_ids"][0].tolist()
            places = [place for place, token in enumerate(given) if token == self.placeholder]
            if len(places) > _PLACES:
                raise ModelError(f"the picture {image.path} takes {len(places)} tokens; at most {_PLACES} are read")
            first = FIRST | (_key(image) * _PLACES)
            for number, place in enumerate(places):
                given[place] = first + number
            self._known[image.digest] = [*self._before, *given, *self._behind]
        with _lock:
            kept = _pictures.setdefault(_key(image), image)
        if kept.digest != image.digest:
            raise ModelError(f"two pictures, {kept.path} and {image.path}, begin with the same digits of their SHA-256")
        return list(self._known[image.digest])

    def inputs(self, image: Image) -> dict[str, Any]:
        """What the model takes for a picture alone: token ids with placeholders, pixels, and what else it wants."""
        from PIL import Image as Pillow

        with Pillow.open(BytesIO(image.content)) as picture:
            pixels = upright(picture).convert("RGB")
        with model_names.quiet():
            made = self.processor(text=self.token, images=[pixels], return_tensors="pt", add_special_tokens=False)
        return dict(made)


def _key(image: Image) -> int:
    return int(image.digest[:12], 16)


def decoder_of(network: Any) -> Any:
    """The part of an image-text model that reads embeddings; any other model as it is."""
    bare = network.get_base_model() if hasattr(network, "peft_config") else network
    return bare.get_decoder() if hasattr(bare, "picture_reader") else bare


def places_pictures(network: Any) -> bool:
    """Whether an image-text model gives its pictures positions of their own, so that they can't be read apart."""
    bare = network.get_base_model() if hasattr(network, "peft_config") else network
    return hasattr(bare, "picture_reader") and bool(bare.picture_reader.places)


def sight(network: Any) -> str:
    """A regular expression for the names of the modules of an image-text model that see; empty for any other model."""
    if not hasattr(network, "picture_reader"):
        return ""
    decoder = network.get_decoder()
    name = next(name for name, module in network.named_modules() if module is decoder)
    return rf"(?!{re.escape(name)}\.).*"


def freeze_sight(network: Any) -> None:
    """Take encoder and projector of an image-text model, with or without an adapter, from what is trained."""
    bare = network.get_base_model() if hasattr(network, "peft_config") else network
    if not hasattr(bare, "picture_reader"):
        return
    reads = {id(weight) for part in (bare.get_decoder(), bare.get_output_embeddings()) for weight in part.parameters()}
    for weight in bare.parameters():
        if id(weight) not in reads:
            weight.requires_grad_(False)


def read_pictures(network: Any, tokens: PictureTokens) -> None:
    """Have an image-text model read the tokens of pictures, from here on.

    Raises:
        ModelError: It reads something else there than in the pictures themselves.
    """
    network.picture_reader = _Reader(network, tokens)
    network.picture_reader.check()


class _Stopped(Exception):
    def __init__(self, embeddings: Any, positions: Any) -> None:
        super().__init__()
        self.embeddings, self.positions = embeddings, positions


class _Reader:
    """Puts the features of pictures among the embeddings of a network, on any thread.

    Its methods take the place of the forward passes of two modules: of the embeddings, which get the features, and of
    the decoder, which stops there where only the features are wanted, and gets the positions of pictures.

    Attributes:
        places: Key -> positions of a picture's own, shape (3, n); empty for most models, which count its tokens.
    """

    def __init__(self, network: Any, tokens: PictureTokens) -> None:
        self.network, self.tokens = network, tokens
        self.places: dict[int, Any] = {}
        self._features: OrderedDict[int, Any] = OrderedDict()
        self._bytes = 0
        self._here = threading.local()
        reads = set(network.get_decoder().modules())
        self._sees = [module for module in network.modules() if module not in reads]
        embeddings, decoder = network.get_input_embeddings(), network.get_decoder()
        self._embed, self._decode = embeddings.forward, decoder.forward
        embeddings.forward, decoder.forward = self.embed, self.decode

    def embed(self, ids: Any) -> Any:
        """Embeddings of token ids, pictures' tokens among them; shape of `ids`, and the hidden size."""
        import torch

        ours = ids >= FIRST
        self._here.keys = None
        if not bool(ours.any()):
            return self._embed(ids)
        found = self._embed(torch.where(ours, 0, ids))
        given = torch.zeros_like(found)
        keys = torch.where(ours, (ids - FIRST) // _PLACES, -1)
        for key in keys[ours].unique().tolist():
            mine = ours & (keys == key)
            given[mine] = self.features(key)[ids[mine] % _PLACES].to(found)
        self._here.keys = keys  # not sooner: reading a picture embeds too
        return torch.where(ours[..., None], given, found)

    def decode(self, *arguments: Any, **settings: Any) -> Any:
        """The decoder's pass, or the way out with the embeddings that it was given."""
        import torch

        if getattr(self._here, "stops", False):
            raise _Stopped(settings["inputs_embeds"], settings.get("position_ids"))
        keys = getattr(self._here, "keys", None)
        if self.places and keys is not None:
            counted = settings.get("position_ids")
            if counted is None:
                counted = torch.arange(keys.shape[1], device=keys.device)[None]
            # transformers' generation counts on all axes, the text's own first.
            counted = counted[0] if counted.dim() == 3 else counted
            settings["position_ids"] = placed(keys, counted, self.places)
        return self._decode(*arguments, **settings)

    def features(self, key: int) -> Any:
        """The vectors of a picture's own tokens, shape (n, hidden size)."""
        import torch

        with _lock:
            if key in self._features:
                self._features.move_to_end(key)
                return self._features[key]
            device = self.network.device
            inputs = {name: value.to(device) for name, value in self.tokens.inputs(_pictures[key]).items()}
            self._here.stops = True
            try:
                off = torch.autocast(device.type, enabled=False)
                with torch.inference_mode(False), torch.no_grad(), off, self._evaluating():
                    self.network(**{name: self._narrow(value) for name, value in inputs.items()})
            except _Stopped as stopped:
                taken = inputs["input_ids"] == self.tokens.placeholder
                found = stopped.embeddings[taken].clone()
                places = own_places(stopped.positions, taken)
                if places is not None:
                    self.places[key] = places
            finally:
                self._here.stops = False
            self._features[key] = found
            self._bytes += _size(found)
            while len(self._features) > 1 and self._bytes > _MOST_BYTES:
                self._bytes -= _size(self._features.popitem(last=False)[1])
            return found

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Within this block the part that sees has no dropout; another thread may be training the decoder.

        What Qwen-VL remembers of the last pictures' positions is afterwards as before: who reads on would add it.
        """
        before = [module.training for module in self._sees]
        counts = [(module, module.rope_deltas) for module in self._sees if hasattr(module, "rope_deltas")]
        try:
            for module in self._sees:
                module.training = False
            yield
        finally:
            for module, training in zip(self._sees, before, strict=True):
                module.training = training
            for module, deltas in counts:
                module.rope_deltas = deltas

    def _narrow(self, value: Any) -> Any:
        return value.to(self.network.dtype) if value.is_floating_point() else value

    def check(self) -> None:
        """Compare both ways to read a picture, with a text before it and one behind it."""
        import torch

        image = _stripes()
        device = self.network.device
        inputs = {name: self._narrow(value.to(device)) for name, value in self.tokens.inputs(image).items()}
        ends = self.tokens.processor.tokenizer.eos_token_id or 0
        ours = torch.tensor([[ends, *self.tokens.of(image), *[ends] * 4]], device=device)
        inputs["input_ids"] = torch.where(ours < FIRST, ours, self.tokens.placeholder)
        if "mm_token_type_ids" in inputs:
            inputs["mm_token_type_ids"] = (ours >= FIRST).to(inputs["mm_token_type_ids"])
        inputs = {name: value for name, value in inputs.items() if name not in ("attention_mask", "token_type_ids")}
        training = self.network.training
        self.network.eval()
        with torch.no_grad(), torch.autocast(device.type, enabled=False), self._evaluating():
            whole = self.network(**inputs).logits[0, -4:].float()
            by_tokens = self.network(input_ids=ours).logits[0, -4:].float()
        self.network.train(training)
        most = _TOLERANCE.get(str(self.network.dtype).removeprefix("torch."), 5e-2) * float(whole.abs().max())
        if not float((whole - by_tokens).abs().max()) <= most:
            raise ModelError(
                f"{type(self.network).__name__} reads pictures in a way of its own (attention, or vectors in later "
                "layers), which isn't supported: use a model of the LLaVA, SmolVLM, Qwen2-VL or Qwen2.5-VL families"
            )


def _size(features: Any) -> int:
    return int(features.numel() * features.element_size())


def _stripes() -> Image:
    """A small picture that looks different in every direction."""
    import hashlib
    from functools import partial

    from PIL import Image as Pillow

    picture = Pillow.new("RGB", (48, 32))
    picture.putdata([(5 * x, 7 * y, (3 * x + 4 * y) % 256) for y in range(32) for x in range(48)])
    stream = BytesIO()
    picture.save(stream, "PNG")
    content = stream.getvalue()
    return Image("stripes", hashlib.sha256(content).hexdigest(), partial(bytes, content))
