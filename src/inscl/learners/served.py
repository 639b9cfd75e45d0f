"""A model behind a server: asked, never trained. What it learned was trained elsewhere and is served by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from inscl.contract import Answer, Example, LogLikelihood, Question, Task
from inscl.contract.plan import ReplayPlan
from inscl.contract.seams import LearnReport, NullProgress, Progress
from inscl.contract.traits import LearnerTraits
from inscl.errors import ConfigError, DataError, Problem, TooLongError, nearest
from inscl.learners.asking import Asking, refuse_images
from inscl.llm.chat_model import LOCAL
from inscl.llm.endpoint import ChatEndpoint
from inscl.llm.in_flight import in_flight
from inscl.llm.likelihoods import AUTO, WAYS, ServedLikelihoods
from inscl.llm.settings import LLMSettings
from inscl.models import names as model_names
from inscl.models.language_model import LanguageModel
from inscl.models.option_likelihoods import over_options
from inscl.storage.run.progress import Answers

__all__ = ["Served"]

Found = TypeVar("Found")

_TEMPLATES = ("server", "local")
_STAGE, _TASK = "{stage}", "{task}"


class Served:
    """A model behind an OpenAI-compatible server (vLLM, llama.cpp, ``transformers serve``, ...), which is only asked.

    Learning changes nothing: it counts stages. If the name of the served model holds ``{stage}`` or ``{task}``, another
    model or adapter is asked after each stage, such as one that was trained elsewhere on the mix that `inscl plan`
    wrote. Prompts are made with the tokenizer of `model`; its weights are never loaded.

    Args:
        model: Whose tokenizer, template and limits are those of the served model: a folder, a hub id, or
            ``tokenizer:`` and one of them, which needs no weights.
        llm: The served model: its name, or a mapping of the fields of `inscl.llm.settings.LLMSettings`. ``{stage}`` in
            the name is the number of stages learned (0 for the base model), ``{task}`` the task learned last.
        template: ``server``: conversations are sent, and the server puts them in its own template; ``local``: token ids
            are sent, exactly as `inscl.learners.fine_tune` asks. Likelihoods are always asked by token ids.
        likelihoods: ``auto``, ``echo`` or ``forced``; see `inscl.llm.likelihoods`.
        lora_ids: Whether the adapter numbered stage - 1 is asked for with each request, as llama.cpp's server takes it
            (``lora``): the order of its ``--lora`` options is that of the stages.
        max_length: Most tokens of a prompt with its answer; longer prompts of token ids are shortened.
        prompt: ``chat`` or ``plain``; ``plain`` needs the template ``local``.
        generation_batch_size: Not used: the server makes its own batches; `llm` says how many questions are under way.
        progress: Who is told.

    Attributes:
        stage: How often it has learned.
        progress_dir: A folder that outlives this process: an interrupted call goes on from what it finds there.

    Raises:
        ConfigError: Settings that can't be, all of them at once.
        MissingExtraError: The package openai isn't installed.
        UserError: There is neither a key nor an address.
    """

    traits = LearnerTraits(trains=False, resumes=True, log_likelihoods=True, chooses=True, counts_tokens=True)

    def __init__(
        self,
        model: str = model_names.DEFAULT_MODEL,
        *,
        llm: str | Mapping[str, Any] | LLMSettings,
        template: str = "server",
        likelihoods: str = AUTO,
        lora_ids: bool = False,
        max_length: int = 1024,
        prompt: str = "chat",
        generation_batch_size: int = 32,
        progress: Progress | None = None,
    ) -> None:
        self._llm = LLMSettings.read(llm, "training.params.llm")
        _check(self._llm, template, likelihoods, prompt)
        self.progress: Progress = progress or NullProgress()
        self.progress_dir: Path | None = None
        self.stage, self._task = 0, ""
        self._template, self._lora_ids = template, lora_ids
        self._likelihoods = ServedLikelihoods(likelihoods)
        self._asking = Asking(LanguageModel(model), prompt, max_length, generation_batch_size, self.progress)
        self._server()  # so that a missing key or package is told before anything is written

    def learn(self, task: Task, plan: ReplayPlan) -> LearnReport:
        """Count a stage.

        Raises:
            DataError: There is nothing to learn.
        """
        if not task.train and not plan.picks:
            raise DataError(f"task {task.name!r} has no train examples and nothing is replayed: add examples to it")
        self.stage, self._task = self.stage + 1, task.name
        return LearnReport(
            steps=0,
            examples=len(task.train),
            replayed=len(plan.picks),
            tokens=0,
            answer_tokens=0,
            replay_tokens=0,
            seconds=0.0,
            loss=0.0,
            facts={"served": self._server().name},
        )

    def answer(self, questions: Sequence[Question], max_new_tokens: int = 64) -> list[Answer]:
        """The most likely answers (temperature 0), in order, without surrounding white space.

        Raises:
            DataError: A question has images.
            EndpointError: The server can't be asked, or a question doesn't fit the model's context. What was answered
                is kept in `progress_dir`.
        """
        refuse_images(questions)
        if local := self._template == "local":
            max_new_tokens = self._asking.longest(questions, max_new_tokens)
        server = self._server({"max_tokens": max_new_tokens, "temperature": 0})
        if local:
            room = self._asking.max_length - max_new_tokens
            encoded = [self._asking.encoder.prompt(question.conversation, room) for question in questions]
            self._asking.tell_shortened(encoded, f"{room} tokens before answering")

        def ask(place: int) -> list[Any]:
            if local:
                said: Any = server.continue_text(encoded[place].tokens)
            else:
                turns = questions[place].conversation
                try:
                    said = server.complete([{"role": turn.role, "content": turn.content} for turn in turns])
                except TooLongError as error:
                    raise TooLongError(f"{error}; training.params.template: local shortens such questions") from error
            return [said.text.strip(), *(said.tokens or (None, None))]

        key = ["text", self._template, [asdict(one) for one in questions], max_new_tokens]
        rows = self._each(server, len(questions), ask, key)
        return [Answer(text, None, read, written) for text, read, written in rows]

    def log_likelihoods(self, questions: Sequence[Question], answers: Sequence[str]) -> list[LogLikelihood]:
        """How likely each answer is after its question, end of sequence included.

        Raises:
            DataError: An answer is longer than `max_length`, or a question has images.
            EndpointError: The server can't be asked, or gives no likelihoods.
        """
        refuse_images(questions)
        encoder = self._asking.encoder
        encoded = [encoder.answered(question, said) for question, said in zip(questions, answers, strict=True)]
        self._asking.tell_shortened(encoded, f"fit max_length {self._asking.max_length}")
        pairs = [(one.tokens[: one.prompt_length], one.tokens[one.prompt_length :]) for one in encoded]
        return self._scored(pairs)

    def choose(self, questions: Sequence[Question], normalise: bool = True) -> list[tuple[float, ...]]:
        """Log-probabilities over the options of each question; each option is one request.

        Raises:
            DataError: A question has no options or has images, or an option is longer than `max_length`.
            EndpointError: The server can't be asked, or gives no likelihoods.
        """
        refuse_images(questions)
        encoder = self._asking.encoder
        pairs = []
        for question in questions:
            prompt = encoder.prompt(question.conversation, self._asking.room_beside_options(question)).tokens
            pairs += [(prompt, encoder.answer(option)) for option in question.options]
        scored = iter(self._scored(pairs))
        return [over_options([next(scored) for _ in question.options], normalise) for question in questions]

    def count_tokens(self, example: Example) -> int:
        """Tokens of prompt, answer and end of sequence, before any shortening: for a budget in tokens."""
        return self._asking.encoder.count_tokens(example)

    def _scored(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[LogLikelihood]:
        server = self._server()

        def ask(place: int) -> list[Any]:
            found = self._likelihoods.ask(server, *pairs[place])
            return [found.nats, found.tokens, found.correct]

        rows = self._each(server, len(pairs), ask, ["likelihood", pairs], alone=not self._likelihoods.known)
        return [LogLikelihood(nats, tokens, correct) for nats, tokens, correct in rows]

    def _each(
        self, server: ChatEndpoint, count: int, ask: Callable[[int], list[Any]], key: list[Any], alone: bool = False
    ) -> list[list[Any]]:
        """What `ask` finds for each place, several at a time; what an interrupted call asked isn't asked again.

        Args:
            server: Who is asked.
            count: Places 0 to count - 1.
            ask: A place to plain values.
            key: What decides the answers besides the server's fingerprint.
            alone: Whether the first one is asked before the others, to find out how this server is asked.
        """
        answers = Answers(self.progress_dir and self.progress_dir / "answers", [server.fingerprint, *key])
        found = {int(part): row for part, row in answers.read().items()}
        missing = [place for place in range(count) if place not in found]
        groups = [missing[:1], missing[1:]] if alone else [missing]
        for group in filter(None, groups):
            with closing(in_flight(server, group, ask, self._llm.concurrency, self.progress.note)) as rows:
                for place, row in rows:
                    answers.keep(str(place), row)
                    found[place] = row
                    self.progress.advance(len(found))
        return [found[place] for place in range(count)]

    def _server(self, fields: Mapping[str, Any] | None = None) -> ChatEndpoint:
        """The model or adapter of this stage, to be asked with these fields unless the settings say otherwise."""
        name = self._llm.model.replace(_STAGE, str(self.stage)).replace(_TASK, self._task)
        request: dict[str, Any] = dict(fields or {})
        if self._lora_ids:
            # The server switches off every adapter that isn't named, but takes an empty list for none given.
            request["lora"] = [{"id": max(self.stage - 1, 0), "scale": float(self.stage > 0)}]
        server = replace(self._llm, model=name).chat_model(request)
        assert isinstance(server, ChatEndpoint)  # `_check` refuses models of this process
        return server


def _check(llm: LLMSettings, template: str, likelihoods: str, prompt: str) -> None:
    """Refuse settings that can't be, all at once."""
    ways = (AUTO, *WAYS)
    problems = [
        Problem(f"training.params.{key}", f"no {key} {value!r}{nearest(str(value), known)}")
        for key, value, known in (("template", template, _TEMPLATES), ("likelihoods", likelihoods, ways))
        if value not in known
    ]
    if llm.model.startswith(LOCAL):
        said = f"{llm.model} runs in this process: use the learner icl or fine_tune for it, or name a served model"
        problems.append(Problem("training.params.llm.model", said))
    if prompt == "plain" and template == "server":
        said = "a server's own template is its chat template: set it to local, or model.prompt to chat"
        problems.append(Problem("training.params.template", said))
    if problems:
        raise ConfigError(problems)
