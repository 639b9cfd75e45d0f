"""A language model whose rows are read with increments of their own; batches are padded, never packed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from inscl.contract import LogLikelihood
from inscl.contract.objective import IGNORED
from inscl.learners.increments.applying import applied
from inscl.learners.increments.pool import Chosen, Pool
from inscl.models import names as model_names
from inscl.models.batches import pad, understood
from inscl.models.language_model import LanguageModel
from inscl.models.prompts import Encoded

if TYPE_CHECKING:
    from transformers import LogitsProcessor

__all__ = ["IncrementedModel"]


class IncrementedModel(LanguageModel):
    """A `LanguageModel` that may be asked with an increment for each row; see `incremented`."""

    _increments: tuple[Pool, Chosen] | None = None

    @contextmanager
    def incremented(self, pool: Pool, chosen: Chosen) -> Iterator[None]:
        """The context in which n prompts, examples or questions are read with these increments, in that order."""
        self._increments = (pool, chosen)
        try:
            yield
        finally:
            self._increments = None

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        batch_size: int = 32,
        processors: Sequence[LogitsProcessor] = (),
        advance: Callable[[int], None] = lambda done: None,
        known: Mapping[str, list[list[int]]] = MappingProxyType({}),
        keep: Callable[[str, list[list[int]]], None] = lambda batch, found: None,
        over: Callable[[list[int]], bool] = lambda answer: False,
    ) -> list[list[int]]:
        """Greedy continuations; see `LanguageModel.generate`. transformers generates them."""
        import torch

        order = sorted(range(len(prompts)), key=lambda k: (len(prompts[k]), list(prompts[k])))
        answers: dict[int, list[int]] = {}
        for number, start in enumerate(range(0, len(order), batch_size)):
            places = order[start : start + batch_size]
            found = known.get(str(number))
            if found is None or len(found) != len(places):
                longest = len(prompts[places[-1]])
                rows = [[self.pad_token] * (longest - len(prompts[k])) + list(prompts[k]) for k in places]
                mask = [[0] * (longest - len(prompts[k])) + [1] * len(prompts[k]) for k in places]
                with self._reading(places):
                    said = self.model.generate(
                        input_ids=torch.tensor(rows, device=self.device),
                        attention_mask=torch.tensor(mask, device=self.device),
                        generation_config=self._greedy(max_new_tokens),
                        logits_processor=list(processors),
                    )
                found = [self._ended(row, over) for row in said[:, longest:].tolist()]
                keep(str(number), found)
            answers.update(zip(places, found, strict=True))
            advance(len(answers))
        return [answers[k] for k in range(len(prompts))]

    def log_likelihoods(self, examples: Sequence[Encoded], *, batch_size: int = 32) -> list[LogLikelihood]:
        """How likely the answer of each of n examples is; see `LanguageModel.log_likelihoods`."""
        return self._likelihoods(list(enumerate(examples)), batch_size)

    def option_likelihoods(
        self, prompts: Sequence[Sequence[int]], options: Sequence[Sequence[Sequence[int]]], *, batch_size: int = 32
    ) -> list[list[LogLikelihood]]:
        """How likely each option after each of n prompts is; a prompt is read once for each of its options."""
        pairs = [
            (k, Encoded([*prompt, *option], len(prompt)))
            for k, (prompt, own) in enumerate(zip(prompts, options, strict=True))
            for option in own
        ]
        found = iter(self._likelihoods(pairs, batch_size))
        return [[next(found) for _ in own] for own in options]

    def _likelihoods(self, asked: Sequence[tuple[int, Encoded]], batch_size: int) -> list[LogLikelihood]:
        """Of answers, each with the place of its increment."""
        from torch.nn.functional import cross_entropy

        found: dict[int, LogLikelihood] = {}
        order = sorted(range(len(asked)), key=lambda k: len(asked[k][1].tokens))
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            # Earlier answers inside a prompt are read and not counted.
            rows = [Encoded(asked[k][1].tokens, asked[k][1].prompt_length) for k in places]
            with self._reading([asked[k][0] for k in places]):
                logits, labels = self.predictions(rows)
                losses = cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
                counted = labels != IGNORED
                right = ((logits.argmax(-1) == labels) & counted).sum(1).tolist()
                sums, counts = losses.double().sum(1).tolist(), counted.sum(1).tolist()
            for k, nats, count, correct in zip(places, sums, counts, right, strict=True):
                found[k] = LogLikelihood(min(-nats, 0.0), count, correct)
        return [found[k] for k in range(len(asked))]

    def predictions(self, rows: Sequence[Encoded]) -> tuple[Any, Any]:
        """Logits where answers are predicted, shape (n, k, vocabulary), float32, and the labels, shape (n, k)."""
        batch = pad(rows, self.pad_token)
        labels = batch.pop("labels")[:, 1:].to(self.device)
        given = {k: v.to(self.device) if hasattr(v, "to") else v for k, v in batch.items()}
        logits = self.model(**understood(self.model, given)).logits[:, -labels.shape[1] :]
        return logits.float(), labels

    @contextmanager
    def _reading(self, places: list[int]) -> Iterator[None]:
        """The context in which a batch of the prompts at these places is read."""
        import torch

        model = self.model.eval()
        with ExitStack() as within:
            for context in (torch.inference_mode(), model_names.quiet(), self.reading()):
                within.enter_context(context)
            if self._increments is not None:
                pool, chosen = self._increments
                contextual = [(weight, pool.averages[task]) for task, weight in pool.weights.items()]
                within.enter_context(applied(model, pool.down, pool.up, chosen.of(places), contextual))
            yield

    def _greedy(self, max_new_tokens: int) -> Any:
        from transformers import GenerationConfig

        ends = sorted(self.end_tokens)
        return GenerationConfig(
            max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=ends, pad_token_id=self.pad_token
        )

    def _ended(self, tokens: Sequence[int], over: Callable[[list[int]], bool]) -> list[int]:
        """An answer up to its end."""
        answer: list[int] = []
        for token in tokens:
            if token in self.end_tokens:
                break
            answer.append(token)
            if over(answer):
                break
        return answer
