"""Asking a language model in its own template: answers, how likely given answers are, and which option it chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from inscl.contract import Answer, LogLikelihood, Question
from inscl.contract.seams import Progress
from inscl.errors import ConfigError, DataError, Problem
from inscl.learners.checkpoints import state_digest
from inscl.learners.out_of_memory import memory_enough
from inscl.models.language_model import LanguageModel
from inscl.models.option_likelihoods import over_options
from inscl.models.prompts import Encoded, PromptEncoder, Rendered
from inscl.storage.run.progress import Answers

__all__ = ["Asking", "refuse_images"]


@dataclass
class Asking:
    """A model as it is now, and how it is asked.

    Attributes:
        model: Who is asked.
        prompt: ``chat`` or ``plain``; see `inscl.models.prompts`.
        max_length: Most tokens of a question with its answer; a longer question is shortened, and that is told.
        batch_size: Questions at a time.
        progress: Who is told.
        sees: Whether questions may have pictures, if the model sees them; others are refused.
    """

    model: LanguageModel
    prompt: str
    max_length: int
    batch_size: int
    progress: Progress
    sees: bool = field(default=False, kw_only=True)

    @cached_property
    def encoder(self) -> PromptEncoder:
        """How prompts and answers become tokens."""
        return self.model.encoder(self.prompt, self.max_length)

    def answer(
        self,
        questions: Sequence[Question],
        max_new_tokens: int,
        kept: Path | None = None,
        before: int = 0,
        over: Callable[[list[int]], bool] = lambda answer: False,
    ) -> list[Answer]:
        """Greedy answers, in order, without surrounding white space; they end at the end of sequence.

        Args:
            questions: n questions.
            max_new_tokens: Longest answer, tokens; shorter where `max_length` leaves less, which is told.
            kept: A folder that outlives this process: what an interrupted call left there isn't asked again.
            before: Questions of the same phase that are answered already, for who is told of progress.
            over: Whether an answer so far, token ids, ends here.

        Raises:
            ConfigError: `max_length` holds no question; see `room_beside`.
            DataError: A question has images that the model can't see.
        """
        if not questions:
            return []
        self._check(questions)
        longest = self.longest(questions, max_new_tokens)
        room = self.max_length - longest
        encoded = [self.encoder.asked(question, room) for question in questions]
        self.tell_shortened(encoded, f"{room} tokens before answering")
        rows = [question.tokens for question in encoded]
        answers = Answers(None, None)
        if kept is not None:
            belongs = [rows, longest, self.batch_size, self.model.bf16, state_digest(self.model.model)]
            answers = Answers(kept / "answers", belongs)
        with memory_enough("answering", "evaluation.batch_size"):
            found = self.model.generate(
                rows,
                max_new_tokens=longest,
                batch_size=self.batch_size,
                advance=lambda done: self.progress.advance(before + done),
                known=answers.read(),
                keep=answers.keep,
                over=over,
            )
        texts = self.encoder.decode(found)
        read = [len(row) for row in rows]
        return [Answer(text, None, count, len(said)) for text, count, said in zip(texts, read, found, strict=True)]

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is under the model as it is now, after its question in the model's own template.

        Raises:
            DataError: An answer is longer than `max_length`, or a question has images that the model can't see.
        """
        self._check(questions)
        pairs = zip(questions, answers, strict=True)
        encoded = [self.encoder.answered(question, answer) for question, answer in pairs]
        self.tell_shortened(encoded, f"fit max_length {self.max_length}")
        with memory_enough("scoring answers", "evaluation.batch_size"):
            return self.model.log_likelihoods(encoded, batch_size=self.batch_size)

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question; the question is read once for all its options.

        Args:
            questions: Each with at least one option.
            normalise: Compare options by nats a token; otherwise by their sums, which favour short ones.

        Raises:
            DataError: A question has no options, or images that the model can't see, or an option is longer than
                `max_length`.
        """
        self._check(questions)
        options = [[self.encoder.answer(option) for option in question.options] for question in questions]
        rooms = map(self.room_beside_options, questions)
        prompts = [self.encoder.asked(question, room) for question, room in zip(questions, rooms, strict=True)]
        self.tell_shortened(prompts, f"fit max_length {self.max_length} with the longest option")
        with memory_enough("choosing", "evaluation.batch_size"):
            found = self.model.option_likelihoods(
                [prompt.tokens for prompt in prompts], options, batch_size=self.batch_size
            )
        return [over_options(likelihoods, normalise) for likelihoods in found]

    def _check(self, questions: Sequence[Question]) -> None:
        if not self.sees:
            refuse_images(questions)

    def room_for(self, question: Question) -> int:
        """Tokens that `max_length`, or the model's context where that is smaller, leaves for an answer."""
        return self.model.within_context(self.max_length) - self.encoder.size(question.conversation)

    @property
    def taken(self) -> int:
        """Tokens that every prompt begins with, whatever is asked."""
        return 0

    def room_beside(self, questions: Sequence[Question], max_new_tokens: int) -> int:
        """Tokens that answers yet to be written leave for each of their questions.

        That is half of what there is at least, and more than the frame of any question, which can't be shortened.

        Raises:
            ConfigError: `max_length` doesn't hold such a frame with a token of the question and one of its answer.
        """
        free = self.max_length - self.taken
        frame = max((self.encoder.least(question.conversation) for question in questions), default=0)
        room = max(self.taken + max(free - max_new_tokens, free // 2), frame + 1)
        if room >= self.max_length:
            shown = f"{self.taken} tokens of demonstrations and a template of {frame - self.taken} tokens"
            said = (
                f"{self.max_length} tokens hold no question and answer beside "
                f"{shown if self.taken else f'the template, which takes {frame} tokens'}: raise it or, if the model's "
                "own limit is no higher, choose another model"
            )
            raise ConfigError([Problem("training.max_length", said)])
        return room

    def longest(self, questions: Sequence[Question], max_new_tokens: int) -> int:
        """Most tokens of answers that keep within `max_length`; it is told where that is less than is wanted.

        Raises:
            ConfigError: As `room_beside` does.
        """
        longest = min(max_new_tokens, self.max_length - self.room_beside(questions, max_new_tokens))
        if longest < max_new_tokens:
            taken = f", {self.taken} tokens of demonstrations among them" if self.taken else ""
            self.progress.note(
                f"answers have at most {longest} tokens, since the context holds {self.max_length}{taken}"
            )
        return longest

    def room_beside_options(self, question: Question) -> int:
        """Tokens that the longest option leaves for its question.

        Raises:
            DataError: It has no options, or one is longer than `max_length`.
        """
        if not question.options:
            raise DataError(f"the question {question.prompt[:60]!r} has no options to choose from: give it some")
        longest = max(question.options, key=lambda option: len(self.encoder.answer(option)))
        return self.encoder.room(question, len(self.encoder.answer(longest)), longest)

    def tell_shortened(self, encoded: Sequence[Encoded | Rendered], to: str) -> None:
        """Note how many prompts were shortened, and how."""
        if truncated := sum(one.truncated for one in encoded):
            dropped = sum(one.dropped > 0 for one in encoded)
            how = f", {dropped} of them by leaving out their oldest turns" if dropped else ""
            self.progress.note(f"{truncated} of {len(encoded)} prompts shortened to {to}{how}")


def refuse_images(questions: Sequence[Question]) -> None:
    """Refuse what this learner can't see.

    Raises:
        DataError: A question has images.
    """
    found = next((question for question in questions if question.images), None)
    if found is not None:
        raise DataError(
            f"the question {found.prompt[:60]!r} has images, and this learner reads text alone: leave such examples "
            "out, or choose a learner that takes images"
        )
