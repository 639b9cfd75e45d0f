"""Builds the parts that a configuration names: strategy, budget, learner, scorers, each with its dependencies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from inscl.config import kinds, wrapping
from inscl.config.identity import deciding_settings, plugins_of
from inscl.config.settings import ComponentConfig, RunConfig
from inscl.contract import Example, Question, Task
from inscl.contract.budget import Budget, count_words
from inscl.contract.seams import (
    Counting,
    Embedder,
    Learner,
    Likelihoods,
    Measure,
    NullProgress,
    Progress,
    ReplayStrategy,
    Scorer,
    Tagger,
)
from inscl.contract.traits import LearnerTraits, StrategyTraits, traits_of
from inscl.engine.processes import channel, rank
from inscl.engine.spread import Spread
from inscl.engine.writers import Writer, by_encoder, by_language_model, by_learner
from inscl.errors import ConfigError, Problem
from inscl.storage.files.cache import cache_dir

if TYPE_CHECKING:
    from inscl.embedding.cached import CachedEmbedder
    from inscl.engine.endpoint import Endpoint
    from inscl.tagging.cached import CachedTagger

__all__ = ["Parts"]


@dataclass
class Parts:
    """The parts of one run. Each is created on first use, so that planning never loads what only training needs.

    Attributes:
        config: What to make.
        progress: Where long work tells how far it is.
        own_embedder: Embeds instructions in place of the configured embedder.
        own_tagger: Tags instructions in place of the configured tagger.
        own_tag_embedder: Embeds tags in place of the configured embedder of tags.
    """

    config: RunConfig
    progress: Progress
    own_embedder: Embedder | None = None
    own_tagger: Tagger | None = None
    own_tag_embedder: Embedder | None = None
    _vectors: CachedEmbedder | None = field(default=None, init=False)
    _tags: CachedTagger | None = field(default=None, init=False)

    @classmethod
    def of(cls, config: RunConfig, progress: Progress | None = None) -> Parts:
        """The parts of `config`; without `progress`, silent ones."""
        return cls(config, progress or NullProgress())

    @cached_property
    def identity(self) -> list[Any]:
        """What decides what these parts make of the same data: settings, and versions of components from elsewhere."""
        return [deciding_settings(self.config), plugins_of(self.config)]

    def check(self) -> None:
        """Make every part that has parameters of its own; no weights are loaded and nothing is written.

        Raises:
            ConfigError: A component refuses its parameters, or the learner lacks what the strategy needs.
        """
        _ = self.strategy, self.budget, self.scorers, self.taught, self.endpoint
        if self.endpoint and not traits_of(self.taught, LearnerTraits).saves:
            said = f"serves what a learner saves, and {self.config.training.learner} saves nothing: leave it out"
            raise ConfigError([Problem("evaluation.endpoint", said)])
        measured = traits_of(self.taught, LearnerTraits).measures_visits
        if traits_of(self.strategy, StrategyTraits).uses_visits and not measured:
            name = self.config.training.learner
            said = f"needs a learner that reports losses from training, as fine_tune does; {name} doesn't: use another"
            raise ConfigError([Problem("replay.strategy", said)])
        learner = traits_of(self.taught, LearnerTraits)
        if traits_of(self.strategy, StrategyTraits).rounds > 1 and not (learner.learns_in_parts and learner.saves):
            said = (
                "several rounds need a learner that learns a task in parts: fine_tune, with an adapter that neither "
                "starts anew at each stage nor is merged at its end, or with all weights"
            )
            raise ConfigError([Problem("replay.params.rounds", said)])

    def check_pictures(self, tasks: Iterable[Task]) -> None:
        """See that the learner takes pictures, if the tasks have some.

        Raises:
            ConfigError: It reads text alone.
        """
        takes, name = traits_of(self.taught, LearnerTraits).images, self.config.training.learner
        key, who, what = "training.learner", name, "learner that takes pictures"
        if self.endpoint:
            takes, key, who, what = False, "evaluation.endpoint", "a server", "model that is asked here"
        if takes is True:
            return
        examples = (example for task in tasks for split in (task.train, task.test) for example in split)
        found = next((example for example in examples if example.images), None)
        if found is None or (takes == "model" and self._model_sees):
            return
        if takes == "model":
            key, who, what = "model.name", f"{self.config.model.name} (for {name})", "model that sees pictures"
        said = (
            f"{who} reads text alone, and the task {found.task!r} has pictures (first in {found.source}): choose a "
            f"{what}, or leave them out with `stream.columns: {{images: '='}}`"
        )
        raise ConfigError([Problem(key, said)])

    @property
    def _model_sees(self) -> bool:
        from inscl.models.names import resolve
        from inscl.models.picture_tokens import sees_pictures

        return sees_pictures(resolve(self.config.model.name))

    @cached_property
    def embedder(self) -> Embedder:
        """Embeds instructions; what was embedded once is read from disk."""
        if self.own_embedder is not None:
            return self.own_embedder
        self._vectors = _embedder(self.config.replay.embedder, self.config.model.name)
        return self._vectors

    @cached_property
    def tag_embedder(self) -> Embedder | None:
        """Embeds tags, likewise."""
        if self.own_tag_embedder is not None:
            return self.own_tag_embedder
        chosen = self.config.replay.tag_embedder
        return None if chosen is None else _embedder(chosen, self.config.model.name)

    @cached_property
    def tagger(self) -> Tagger:
        """Tags instructions, likewise."""
        if self.own_tagger is not None:
            return self.own_tagger
        from inscl.tagging.cached import CachedTagger

        name, params = _name_and_params(self.config.replay.tagger)
        self._tags = CachedTagger(
            kinds.create("taggers", name, params, progress=self.progress), cache_dir() / "tags.sqlite"
        )
        return self._tags

    @cached_property
    def strategy(self) -> ReplayStrategy:
        """Decides what is replayed."""
        replay = self.config.replay
        factory = kinds.load("strategies", replay.strategy)
        given = {
            "model": self.config.model.name,
            "seed": self.config.seed,
            "losses": self.losses,
            "answers": self.answers,
            "writers": self.writer,
            "encoders": lambda chosen: by_encoder(chosen, self.progress),
            "new_learner": self.new_learner,
            "small_learner": self.small_learner,
        }
        parts = ("embedder", "tagger", "tag_embedder", *given)
        needed: dict[str, Any] = {
            part: given[part] if part in given else getattr(self, part)
            for part in parts
            if kinds.accepts(factory, part)
        }
        strategy: ReplayStrategy = kinds.create("strategies", replay.strategy, replay.params, **needed)
        return strategy

    @cached_property
    def budget(self) -> Budget:
        """How much may be replayed; tokens are counted by the model's own tokenizer."""
        limits = self.config.replay.budget.model_dump()
        counting = self.count_tokens if limits["tokens"] is not None else count_words
        return Budget(**limits, count_tokens=counting)

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt and answer as the learner would see them; words for a learner without a tokenizer."""
        learner = self._counting_learner
        if not traits_of(learner, LearnerTraits).counts_tokens:
            return count_words(example)
        return cast(Counting, learner).count_tokens(example)

    @property
    def epochs(self) -> float:
        """How often an example is trained on; 0 where the learner changes no weights."""
        training = self.config.training
        learner = kinds.load("learners", wrapping.unwrapped(training.learner, training.params))
        return training.epochs if traits_of(learner, LearnerTraits).trains else 0

    @cached_property
    def _counting_learner(self) -> Learner:
        return self.new_learner()

    def losses(self, examples: Sequence[Example]) -> NDArray[np.float64]:
        """What each example costs the model as it is now, nats an answer token; shape (len(examples),).

        Raises:
            ConfigError: The learner can't tell.
        """
        if not traits_of(self.taught, LearnerTraits).log_likelihoods:
            name = self.config.training.learner
            said = f"needs a learner that tells how likely answers are; {name} can't: choose another of the two"
            raise ConfigError([Problem("replay.strategy", said)])
        learner = cast(Likelihoods, self.taught)
        found = learner.log_likelihoods(list(map(Question.of, examples)), [example.output for example in examples])
        return np.array([one.loss for one in found], dtype=np.float64)

    def answers(self, questions: Sequence[Question], max_new_tokens: int) -> list[str]:
        """What the model as it is answers to each question."""
        return [one.text for one in self.taught.answer(questions, max_new_tokens)]

    def writer(self, chosen: str | Mapping[str, Any]) -> Writer:
        """Who writes texts for a strategy: ``base``, the model as it came, or a language model by name or settings.

        Raises:
            ConfigError: A field of the language model can't be used.
        """
        return by_learner(self.new_learner) if chosen == "base" else by_language_model(chosen, self.progress)

    @cached_property
    def taught(self) -> Learner:
        """The learner that goes through the stream."""
        return self.new_learner()

    @cached_property
    def endpoint(self) -> Endpoint | None:
        """The server that is scored in place of the learner; None scores the learner.

        Raises:
            ConfigError: Its settings can't be used.
        """
        if self.config.evaluation.endpoint is None:
            return None
        from inscl.engine.endpoint import Endpoint

        return Endpoint(self.config, self.progress)

    @contextmanager
    def scored(self, learner: Callable[[], Learner], state: Path | None) -> Iterator[Learner]:
        """Who answers test questions: the learner, or the server that serves the state it saved.

        Args:
            learner: Makes the learner in that state, where it is needed.
            state: The folder that it saved; None for the model as it came.
        """
        if self.endpoint is None:
            yield learner()
            return
        with self.endpoint.serving(state) as served:
            yield served

    def new_learner(self) -> Learner:
        """A learner that has learned nothing yet; where several processes work together, on all of them."""
        own = self._make_learner(self.config.training.learner, self.config.training.params)
        others = channel()
        return own if others is None or rank() else cast(Learner, Spread(own, self.config, others))

    def small_learner(self) -> Learner:
        """A learner of the same kind on the model as it came, whose only weights are a LoRA of rank 8.

        Its objective is the plain one: others may keep something of the examples beside the weights.
        """
        training = self.config.training
        changes = {"adapter": {"kind": "lora", "r": 8}, "objective": "answer"}
        return self._make_learner(training.learner, training.params, changes)

    def _make_learner(
        self, name: str, params: Mapping[str, Any], changes: Mapping[str, Any] = MappingProxyType({})
    ) -> Learner:
        """A learner by its name, made with what the configuration says besides; also one that another wraps."""
        config = self.config
        training = config.training.model_dump(exclude={"learner", "params"})
        model = config.model.model_dump(include={"adapter", "prompt", "precision"})
        learner: Learner = kinds.create(
            "learners",
            name,
            params,
            **{**training, **model, **changes},
            model=config.model.name,
            generation_batch_size=config.evaluation.batch_size,
            seed=config.seed,
            progress=self.progress,
            make_learner=self._make_learner,
            # Trackers such as TensorBoard write files; without one there is nothing to keep.
            log_dir=Path(config.output_dir) / "logs" if "report_to" in config.training.hf_args else None,
        )
        return learner

    @cached_property
    def scorers(self) -> dict[str, Scorer | Measure]:
        """The scorers and measures by name, the leading one first.

        Raises:
            ConfigError: There is no such metric, or a judge that none of them asks.
        """
        judge = self.config.evaluation.judge
        chosen = [(name, kinds.metric_kind(name)) for name in self.config.evaluation.metrics]
        if judge is not None and not any(kinds.accepts(kinds.load(kind, name), "judge") for name, kind in chosen):
            said = "no metric of evaluation.metrics asks a judge: add v_score, or leave it out"
            raise ConfigError([Problem("evaluation.judge", said)])
        return {
            name: kinds.create(kind, name, judge=judge, progress=self.progress)
            if kind == "measures"
            else kinds.load(kind, name)
            for name, kind in chosen
        }

    def known(self, tasks: Sequence[Task]) -> tuple[Mapping[str, NDArray[np.float32]], Mapping[str, tuple[str, ...]]]:
        """Vectors and tags of the tasks' instructions, as far as planning has made them; computes nothing."""
        texts = list(dict.fromkeys(text for task in tasks for text in task.instructions))
        vectors = self._vectors.known(texts) if self._vectors else {}
        tags = self._tags.known(texts) if self._tags else {}
        return vectors, {text: tuple(found) for text, found in tags.items()}

    def knows(self, task: Task, vectors: Collection[str], tags: Collection[str]) -> bool:
        """Whether nothing is missing of what planning makes of a task's instructions.

        Args:
            task: The task.
            vectors: Instructions whose vectors are known.
            tags: Instructions whose tags are known.
        """
        parts = [known for part, known in ((self._vectors, vectors), (self._tags, tags)) if part is not None]
        return all(text in known for known in parts for text in task.instruction_counts)


def _embedder(chosen: str | ComponentConfig, model: str) -> CachedEmbedder:
    from inscl.embedding.cached import CachedEmbedder

    name, params = _name_and_params(chosen)
    # The embedder `model` is the learner's own base model; any other embedder names its model itself.
    given = {"model": model, **params} if name == "model" else params
    return CachedEmbedder(kinds.create("embedders", name, given), cache_dir() / "embeddings.sqlite")


def _name_and_params(chosen: str | ComponentConfig) -> tuple[str, dict[str, Any]]:
    return (chosen, {}) if isinstance(chosen, str) else (chosen.name, chosen.params)
