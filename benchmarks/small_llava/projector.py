"""The projector, taught in front of a frozen encoder and a frozen language model."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize

from inscl.contract import Example
from inscl.contract.example import Image
from inscl.contract.objective import IGNORED
from inscl.models.batches import pad, understood
from inscl.models.picture_tokens import FIRST, PictureTokens
from inscl.models.prompts import Encoded

AT_ONCE = 32


def vectors(network: Any, tokens: PictureTokens, images: Sequence[Image], folder: Path) -> dict[int, torch.Tensor]:
    """What the encoder makes of each picture; kept in `folder` by the content of picture and encoder.

    Returns:
        Key of a picture's tokens -> shape (n, size of the encoder), float32.
    """
    tower = network.model.vision_tower
    digest = hashlib.sha256(str(tokens.processor.image_processor.to_dict()).encode())
    for _, weight in sorted(tower.state_dict().items()):
        digest.update(weight.numpy().tobytes())
    kept = folder / digest.hexdigest()[:16]
    kept.mkdir(parents=True, exist_ok=True)
    distinct = list({image.digest: image for image in images}.values())
    missing = [image for image in distinct if not (kept / f"{image.digest}.npy").is_file()]
    for start in range(0, len(missing), AT_ONCE):
        some = missing[start : start + AT_ONCE]
        pixels = torch.cat([tokens.inputs(image)["pixel_values"] for image in some])
        with torch.inference_mode():
            found = tower(pixels, output_hidden_states=True).hidden_states[network.config.vision_feature_layer]
        for image, one in zip(some, found.numpy(), strict=True):
            np.save(kept / f"{image.digest}.npy", one, allow_pickle=False)
    return {
        key_of(tokens, image): torch.from_numpy(np.load(kept / f"{image.digest}.npy", allow_pickle=False))
        for image in distinct
    }


def key_of(tokens: PictureTokens, image: Image) -> int:
    """What stands for a picture in the ids of its tokens."""
    return (next(token for token in tokens.of(image) if token >= FIRST) - FIRST) >> 12


def standardise(projector: Any, seen: dict[int, torch.Tensor]) -> None:
    """Have the first layer read each number of the encoder by its mean and deviation, without a layer of its own."""
    every = torch.cat(list(seen.values()))
    mean, deviation = every.mean(0), every.std(0).clamp(min=1e-6)
    with torch.no_grad():
        projector.linear_1.weight /= deviation
        projector.linear_1.bias -= projector.linear_1.weight @ mean


def names_of(tokens: PictureTokens, examples: Sequence[Example]) -> dict[int, str]:
    """What each picture is called: its shortest answer, those to yes-or-no questions left out."""
    names: dict[int, str] = {}
    for example in examples:
        if {option.lower() for option in example.options} != {"yes", "no"}:
            key = key_of(tokens, example.images[0])
            names[key] = min(names.get(key, example.output), example.output, key=len)
    return names


class Words:
    """What pictures are called, as vectors of the language model: the mean embedding of a name's tokens.

    Attributes:
        names: All names, sorted.
        vectors: Shape (names, hidden size), float32.
    """

    def __init__(self, network: Any, tokens: PictureTokens, names: Iterable[str]) -> None:
        self.names = sorted(set(names))
        embed, tokenizer = network.get_input_embeddings().weight.detach(), tokens.processor.tokenizer
        ids = [tokenizer(f" {name}", add_special_tokens=False).input_ids for name in self.names]
        self.vectors = torch.stack([embed[torch.tensor(one)].float().mean(0) for one in ids])

    def cosines(self, projected: torch.Tensor) -> torch.Tensor:
        """Of vectors, shape (..., hidden size), and names, both less the mean of all names; shape (..., names)."""
        centre = self.vectors.mean(0)
        return normalize(projected - centre, dim=-1) @ normalize(self.vectors - centre, dim=1).T


class Naming:
    r"""The loss of calling pictures what they are called; see `name_pictures`."""

    def __init__(
        self, projector: Any, words: Words, seen: dict[int, torch.Tensor], names: dict[int, str], seed: int
    ) -> None:
        self.projector, self.words = projector, words
        self.given = torch.stack([seen[key] for key in names])
        self.right = torch.tensor([words.names.index(name) for name in names.values()])
        self.length, self.chance = words.vectors.norm(dim=1).mean(), torch.Generator().manual_seed(seed)

    def __call__(self) -> torch.Tensor:
        """The loss of at most 64 pictures that are drawn anew."""
        some = torch.randperm(len(self.given), generator=self.chance)[:64]
        found = self.projector(self.given[some])
        cosines, right = self.words.cosines(found), self.right[some].repeat_interleave(found.shape[1])
        loss = torch.nn.functional.cross_entropy(cosines.flatten(0, 1) / 0.1, right)
        return loss + (found.norm(dim=2) / self.length - 1).square().mean()


def name_pictures(
    network: Any, words: Words, seen: dict[int, torch.Tensor], names: dict[int, str], steps: int, seed: int
) -> float:
    r"""Bring a picture's vectors near the embedding of what it is called; the language model isn't run.

    .. math:: L = \frac{1}{n} \sum_j \left[ -\ln \frac{\exp(\cos(g_j, e_k) / \tau)}{\sum_l \exp(\cos(g_j, e_l) / \tau)}
        + (\lVert g_j \rVert / r - 1)^2 \right]

    with g what the projector makes of the n vectors of a picture, e the names' embeddings (both centred in the cosine),
    :math:`\tau = 0.1`, and r the mean length of the names' embeddings. Each vector counts by itself: only a right mean
    of vectors that are noise tells the language model nothing. No part of LLaVA's recipe; it spares many steps
    of it, each of which runs the language model.

    Returns:
        The loss of the last step; NaN where there was none.
    """
    projector = network.model.multi_modal_projector
    optimiser = torch.optim.AdamW(projector.parameters(), lr=1e-3, weight_decay=0.05)
    naming, loss = Naming(projector, words, seen, names, seed), torch.tensor(float("nan"))
    for _ in range(steps):
        loss = naming()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(loss.detach())


def nearest_name(network: Any, words: Words, seen: dict[int, torch.Tensor], names: dict[int, str]) -> float:
    """How often the name nearest to a picture's vectors, by their mean cosine, is what it is called."""
    with torch.inference_mode():
        found = words.cosines(network.model.multi_modal_projector(torch.stack([seen[key] for key in names])))
    best = found.mean(1).argmax(1).tolist()
    return sum(words.names[k] == name for k, name in zip(best, names.values(), strict=True)) / len(names)


def align(
    network: Any,
    seen: dict[int, torch.Tensor],
    rows: Sequence[Encoded],
    pad_token: int,
    *,
    naming: Callable[[], torch.Tensor],
    steps: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    until: float,
    tell: Callable[[str], None],
) -> list[float]:
    """LLaVA's first stage: the projector learns from the cross entropy of answers, through the frozen language model.

    Much of that loss is the form of answers, which the projector alone can't give; the loss of `naming` is added, so
    that it doesn't forget for it what pictures show.

    Args:
        network: That reads the tokens of pictures; its reader is given the projector's vectors, with gradients.
        seen: What the encoder makes of each picture.
        rows: What is learned.
        pad_token: What fills up a batch.
        naming: Another loss of the projector.
        steps: Of AdamW; the rate warms up over a twentieth of them and falls to zero.
        batch_size: Rows in a step.
        learning_rate: Its maximum.
        seed: Of the order.
        until: Stop then (`time.monotonic`).
        tell: Is told how it goes.

    Returns:
        The cross entropy of each step.
    """
    projector = network.model.multi_modal_projector
    network.requires_grad_(False)
    projector.requires_grad_(True)
    network.model.language_model.to(torch.bfloat16)
    reader, chance = network.picture_reader, torch.Generator().manual_seed(seed)
    reads, reader.features = reader.features, lambda key: projector(seen[key])
    optimiser = torch.optim.AdamW(projector.parameters(), lr=learning_rate)
    warm = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda k: min((k + 1) / warm, 1 - k / max(1, steps)))
    losses: list[float] = []
    order: list[int] = []
    while len(losses) < steps and time.monotonic() < until:
        if len(order) < batch_size:
            order = torch.randperm(len(rows), generator=chance).tolist()
        places, order = order[:batch_size], order[batch_size:]
        batch = pad([rows[k] for k in places], pad_token)
        labels = batch.pop("labels")[:, 1:]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(**understood(network, batch)).logits[:, -labels.shape[1] :]
        loss = torch.nn.functional.cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=IGNORED)
        optimiser.zero_grad()
        (loss + naming()).backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if len(losses) % 20 == 0:
            tell(f"step {len(losses)} of {steps}: loss {np.mean(losses[-20:]):.3f}")
    reader.features = reads
    return losses
