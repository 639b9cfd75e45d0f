"""Retrieval-enhanced training data: each row with its most recent past items, and with those most like its target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inscl.contract import Example
from inscl.contract.refined import Made, Refined
from inscl.contract.seams import Embedder
from inscl.contract.traits import RefinerTraits
from inscl.data.histories import PAST, History, recent, retrieved
from inscl.embedding.cached import embedder_of
from inscl.embedding.nearness import likeness, principal_components
from inscl.errors import ConfigError, Problem, nearest

__all__ = ["ReiT"]

_VERSIONS = ("recent", "retrieved")
_SHOWN = ("both", *_VERSIONS)
_NO_HISTORY = "it has no history: a row's column `past` holds it, and `stream.metadata: [past]` keeps that column"


class ReiT:
    r"""Show each row's most recent past items, and those most like its target.

    Retrieval-enhanced instruction tuning (ReiT) of ReLLa (Lin et al., arXiv 2308.11131). A row that carries its history
    (`inscl.data.histories.History`) becomes two: one shows the k last of its n past items, the other the k items most
    like the target t, put back in order of time:

    .. math:: S = \operatorname{top}_k \{ \cos(p(e(i)), p(e(t))) : i = 1, \ldots, n \}

    :math:`e` is the embedder, by default the model's final hidden states averaged over the tokens; :math:`p` projects
    on at most `dimensions` principal components of all items and targets of the task. Where both versions are the same,
    as with n at most k, there is one. Rows without a history stay as they are, and are told. Rows that were made carry
    no history.

    Args:
        k: Most past items shown, 0 or more.
        show: ``both`` versions, the recent one first, or ``recent`` or ``retrieved`` alone.
        embedder: Name of an embedder, ``{"name": ..., "params": {...}}``, or a function from texts to vectors. A
            refiner isn't told of a run's model: ``model`` is the default model unless ``params`` names another.
        dimensions: Most principal components, 1 or more.

    Raises:
        ConfigError: A parameter is out of range; all are told at once.
        UnknownComponentError: There is no such embedder.
    """

    traits = RefinerTraits(version="1", reads_models=True)

    def __init__(
        self,
        k: int = 30,
        show: Literal["both", "recent", "retrieved"] = "both",
        embedder: str | Mapping[str, Any] | Embedder = "model",
        dimensions: int = 512,
    ) -> None:
        problems = [
            Problem(key, f"a whole number of {least} or more was expected: {value!r}")
            for key, value, least in (("k", k, 0), ("dimensions", dimensions, 1))
            if not isinstance(value, int) or isinstance(value, bool) or value < least
        ]
        if show not in _SHOWN:
            problems.append(Problem("show", f"both, recent or retrieved was expected: {show!r}{nearest(show, _SHOWN)}"))
        if problems:
            raise ConfigError(problems, "refiner rella")
        self.k, self.show, self.dimensions = k, show, dimensions
        # Likeness is measured on principal components of the whole task.
        self.traits = replace(type(self).traits, row_by_row=show == "recent")
        self._embed, self._embedder = embedder_of(embedder), embedder

    @property
    def fingerprint(self) -> str:
        """The numbers, and the embedder: by its own fingerprint, or by what was given where it has none."""
        embedder = ""
        if self.show != "recent":
            embedder = getattr(self._embed, "fingerprint", None) or repr(self._embedder)
        return f"{self.k} {self.show} {self.dimensions} {embedder}"

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        """Say what becomes of each row; see `inscl.contract.seams.Refiner`.

        Raises:
            DataError: What stands in a row's column ``past`` is no history.
        """
        histories = [History.of(example) for example in examples]
        texts = [text for history in histories if history for text in _texts(history)]
        vectors = self.vectors(texts) if self.show != "recent" else {}
        for example, history in zip(examples, histories, strict=True):
            if history is None:
                yield Refined.keep(example, _NO_HISTORY)
            elif example.turns:
                yield Refined.keep(example, "it is a conversation, which already shows what was said before")
            else:
                yield Refined.replace(example, *self._made(example, history, vectors))

    def vectors(self, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """The vector of each distinct text, on the principal components of all of them."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return {}
        whole = np.asarray(self._embed(distinct), dtype=np.float32)
        return dict(zip(distinct, principal_components(whole, self.dimensions)(whole), strict=True))

    def places(self, history: History, version: str, vectors: Mapping[str, NDArray[np.float32]]) -> list[int]:
        """Places of the past items that a version shows, oldest first.

        Args:
            history: The history.
            version: ``recent`` or ``retrieved``.
            vectors: Of the texts of its items and target, for ``retrieved``.
        """
        if version == "recent" or self.k == 0 or not history.items:
            return recent(len(history.items), self.k)
        items = np.stack([vectors[item.text] for item in history.items])
        return retrieved(likeness(vectors[history.target][None], items)[0], self.k)

    def _made(self, example: Example, history: History, vectors: Mapping[str, NDArray[np.float32]]) -> Iterator[Made]:
        rest = {key: value for key, value in example.metadata.items() if key != PAST}
        told: set[str] = set()
        for version in _VERSIONS if self.show == "both" else (self.show,):
            text = history.shown(self.places(history, version, vectors))
            if text not in told:
                how = "the most recent past items" if version == "recent" else "the past items most like the target"
                yield Made(replace(example, input=text, metadata=rest), how, facts={"shown": version})
            told.add(text)


def _texts(history: History) -> Iterator[str]:
    yield history.target
    yield from (item.text for item in history.items)
