"""The pool: keys that questions find by their instructions, a low-rank pair for each, and averages of earlier tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inscl.errors import ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["Average", "Chosen", "Pool", "digest_of"]

_FILE, _AVERAGES = "pool.safetensors", "average-*.safetensors"
_LEAST = 1e-6


def digest_of(task: str) -> str:
    """What stands for the name of a task in a saved state."""
    return hashlib.sha256(task.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Chosen:
    r"""Which pairs make up the intrinsic increment of each of n rows.

    Attributes:
        places: In the pool, shape (n, M), int64.
        shares: What each counts, shape (n, M), float32; they sum to one in each row.
    """

    places: torch.Tensor
    shares: torch.Tensor

    def of(self, rows: list[int]) -> Chosen:
        """That of some rows, which may come more than once."""
        return Chosen(self.places[rows], self.shares[rows])


@dataclass(frozen=True)
class Average:
    """The mean of the intrinsic increments of a task, as it was when the task had been learned.

    Attributes:
        down: Module -> shape (r, inputs).
        up: Module -> shape (outputs, r); the increment is ``up @ down``.
    """

    down: dict[str, torch.Tensor]
    up: dict[str, torch.Tensor]


@dataclass
class Pool:
    r"""N keys, each with a low-rank pair :math:`P_n = B_n A_n` for every module.

    Attributes:
        keys: Shape (N, query size), float32.
        down: Module -> all A, shape (N, R, inputs), float32.
        up: Module -> all B, shape (N, outputs, R), float32.
        used: How many rows that were learned have chosen each key, shape (N,), int64.
        averages: `digest_of` a task -> the average of its increments; never changed once it is here.
        weights: `digest_of` a task -> what its average counts in the contextual increment.
    """

    keys: torch.Tensor
    down: dict[str, torch.Tensor]
    up: dict[str, torch.Tensor]
    used: torch.Tensor
    averages: dict[str, Average] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    @classmethod
    def new(cls, size: int, rank: int, width: int, shapes: Mapping[str, tuple[int, int]], seed: int) -> Pool:
        """Random keys of length one, random A, and B of zeros, so that nothing is changed yet.

        Args:
            size: N.
            rank: R.
            width: Of queries.
            shapes: Module -> its inputs and outputs.
            seed: Decides what is random.
        """
        import torch

        chance = torch.Generator().manual_seed(seed)
        keys = torch.nn.functional.normalize(torch.randn(size, width, generator=chance), dim=1)
        down = {
            name: (2 * torch.rand(size, rank, inputs, generator=chance) - 1) / inputs**0.5
            for name, (inputs, _) in shapes.items()
        }
        up = {name: torch.zeros(size, outputs, rank) for name, (_, outputs) in shapes.items()}
        return cls(keys, down, up, torch.zeros(size, dtype=torch.int64))

    def choose(self, queries: torch.Tensor, most: int) -> Chosen:
        r"""The `most` keys nearest to each query, by cosine.

        .. math:: c_m = \cos(q, k_{i_m}) / \sum_l \cos(q, k_{i_l})

        Cosines below a millionth count as that, so that shares are never negative.

        Args:
            queries: Shape (n, query size).
            most: M.

        Raises:
            ModelError: Queries have another size than the keys.
        """
        found = self.cosines(queries).topk(min(most, len(self.keys)), dim=1)
        cosines = found.values.clamp(min=_LEAST)
        return Chosen(found.indices, cosines / cosines.sum(1, keepdim=True))

    def cosines(self, queries: torch.Tensor) -> torch.Tensor:
        """Of every query and key, shape (n, N).

        Raises:
            ModelError: Queries have another size than the keys.
        """
        from torch.nn.functional import normalize

        if queries.shape[1] != self.keys.shape[1]:
            raise ModelError(
                f"the keys of the pool have {self.keys.shape[1]} numbers and the embedder gives {queries.shape[1]}: "
                "use the embedder that the pool was learned with (training.params.embedder)"
            )
        return normalize(queries, dim=1) @ normalize(self.keys, dim=1).T

    def average(self, chosen: Chosen) -> Average:
        """The mean increment of the rows, exact: one part for each pair that any of them has."""
        import torch

        mean = torch.zeros(len(self.keys))
        mean.index_add_(0, chosen.places.flatten(), chosen.shares.flatten())
        mean /= len(chosen.places)
        kept = mean.nonzero()[:, 0]
        down = {name: every[kept].flatten(0, 1).clone() for name, every in self.down.items()}
        scaled = {name: every[kept] * mean[kept][:, None, None] for name, every in self.up.items()}
        return Average(down, {name: every.permute(1, 0, 2).flatten(1).contiguous() for name, every in scaled.items()})

    def write(self, folder: Path) -> None:
        """Write a file of safetensors for the pool and one for the average of each task; no name of a task is in it."""
        from safetensors.torch import save_file

        own = {"keys": self.keys, "used": self.used, **_named("down", self.down), **_named("up", self.up)}
        own |= {f"weight.{task}": _number(weight) for task, weight in self.weights.items()}
        save_file(own, folder / _FILE)
        for task, one in self.averages.items():
            save_file({**_named("down", one.down), **_named("up", one.up)}, folder / _AVERAGES.replace("*", task))

    @classmethod
    def read(cls, folder: Path) -> Pool | None:
        """What `write` wrote; None where nothing was written.

        Raises:
            ModelError: A file is damaged.
        """
        if not (folder / _FILE).exists():
            return None
        found = _read(folder / _FILE)
        averages = {
            path.stem.partition("-")[2]: Average(_part(one, "down"), _part(one, "up"))
            for path in sorted(folder.glob(_AVERAGES))
            for one in [_read(path)]
        }
        weights = {name: float(value) for name, value in sorted(_part(found, "weight").items())}
        if missing := [name for name in ("keys", "used") if name not in found] or sorted(set(weights) - set(averages)):
            raise ModelError(f"{folder} is damaged: it lacks {missing[0]}; restore the files of this stage")
        return cls(found["keys"], _part(found, "down"), _part(found, "up"), found["used"], averages, weights)


def _named(kind: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{kind}.{name}": tensor for name, tensor in tensors.items()}


def _part(found: Mapping[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{kind}."): one for name, one in found.items() if name.startswith(f"{kind}.")}


def _number(value: float) -> torch.Tensor:
    import torch

    return torch.tensor(value, dtype=torch.float64)


def _read(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"can't read the increments {path}: {error}") from error
