"""ReLLa's retrieval as a learner: the past examples most like a question stand before it, in order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inscl.contract.seams import Embedder, Progress
from inscl.errors import ConfigError, Problem
from inscl.learners.demonstrations.prompting import Prompting
from inscl.learners.demonstrations.recalling import Recalling, in_order_learned
from inscl.learners.icl import ICL
from inscl.models import names as model_names

__all__ = ["ReLLa"]


class ReLLa(ICL):
    r"""Past examples most like a question stand before it, in the order in which they were learned.

    .. math:: S = \operatorname{top}_k \{ \cos(p(e(x_i)), p(e(x))) : i = 1, \ldots, n \}

    over the n examples that are kept of all tasks, for the question x. :math:`e` is the embedder, by default the
    model's final hidden states averaged over the tokens; :math:`p` projects on at most `dimensions` principal
    components of the examples. The retrieval of ReLLa (Lin et al., arXiv 2308.11131), in which a user's history takes
    the place of the examples; that it is asked of a stream of tasks is a reconstruction.

    It is `ICL` with the selection ``nearest``, except that candidates are the examples of all tasks rather than those
    of the question's task, that they are put back in order, and that cosines are of principal components. What is kept
    of earlier tasks, what fits, and the state are those of `ICL`.

    Args:
        model: ``smollm2-135m``, a folder, a ``.gguf`` file or a hub id.
        k: Examples in a prompt; ``fit`` for as many as fit `max_length`. The least alike is left out first.
        embedder: Name of an embedder, ``{"name": ..., "params": {...}}``, or a function from texts to vectors.
        dimensions: Most principal components.
        max_length: Most tokens of a prompt with its answer; the model's own limit where that is smaller.
        prompt: ``chat`` or ``plain``; see `inscl.learners.demonstrations.layout`.
        precision: ``auto`` (bf16 where the machine has it), ``bf16`` or ``fp32``.
        seed: Changes nothing: nothing is random.
        generation_batch_size: Prompts answered at a time.
        progress: Who is told, among other things how many examples had to be left out.

    Raises:
        ConfigError: Settings that can't be.
        UnknownComponentError: There is no such embedder.
    """

    _name = "rella"

    def __init__(
        self,
        model: str = model_names.DEFAULT_MODEL,
        *,
        k: int | str = 8,
        embedder: str | Mapping[str, Any] | Embedder = "model",
        dimensions: int = 512,
        max_length: int = 1024,
        prompt: str = "chat",
        precision: str = "auto",
        seed: int = 0,
        generation_batch_size: int = 32,
        progress: Progress | None = None,
    ) -> None:
        if not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1:
            said = f"a whole number of 1 or more was expected, got {dimensions!r}"
            raise ConfigError([Problem("training.params.dimensions", said)])
        super().__init__(
            model,
            k=k,
            selection="nearest",
            embedder=embedder,
            max_length=max_length,
            prompt=prompt,
            precision=precision,
            seed=seed,
            generation_batch_size=generation_batch_size,
            progress=progress,
        )
        self._dimensions = dimensions

    @property
    def _prompting(self) -> Prompting:
        places = {example.id: place for place, example in enumerate(in_order_learned(self._kept))}
        layout = replace(self._layout, places=places)
        return Recalling(
            self._kept, layout, self._embed, True, self.k, self.context, self.progress, dimensions=self._dimensions
        )
