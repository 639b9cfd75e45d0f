"""The configuration: one YAML file. Every field is documented here, and all mistakes are reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from inscl.config import kinds
from inscl.data.options import options_problem
from inscl.errors import ConfigError, InsclError, Problem, nearest

__all__ = [
    "AdapterConfig",
    "BudgetConfig",
    "ComponentConfig",
    "EvaluationConfig",
    "ModelConfig",
    "ReplayConfig",
    "RunConfig",
    "StreamConfig",
    "TestExamplesConfig",
    "TrainingConfig",
]


_LONGEST_ANSWER = 64  # tokens


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class ComponentConfig(_Section):
    """A component by name, with parameters of its own."""

    name: str = Field(description="Registered name.")
    params: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the component.")


class StreamConfig(_Section):
    """Which tasks, in which order, and how much of each."""

    path: str | list[Any] = Field(
        "demo",
        description="A folder, a file, a YAML list, a hub id, or `demo`, the stream that ships with inscl. "
        "Relative paths start from the current folder.",
    )
    order: str | list[str] | None = Field(
        None,
        description="A named order (`inscl data orders` lists them) or task names. Default: the stream's own order.",
    )
    held_out: list[str] = Field(
        default_factory=list,
        description="Names of tasks that are scored with the base model and after every stage, and never learned nor "
        "replayed: what `general_delta` is computed from. The rest of the stream is learned; an order leaves them out.",
    )
    columns: dict[str, str] | None = Field(
        None, description="Column of each field, such as `{instruction: question, output: answer}`."
    )
    train_per_task: int | None = Field(
        None, ge=1, description="Size of a seeded sample of each train split, spread evenly over source tasks."
    )
    test_per_task: int | None = Field(None, ge=1, description="The same for each test split.")
    test_share: float = Field(
        0.2, gt=0, lt=1, description="Share of a task held out for testing, by content hash, if it has no test split."
    )
    leaks: Literal["error", "drop", "allow"] = Field(
        "error", description="If a test example is also in train: stop, leave out the train copy, or keep both."
    )
    skip_bad_rows: bool = Field(
        False, description="Write unreadable rows to `rejected.jsonl` and continue, instead of stopping."
    )
    turns: Literal["last", "all"] = Field(
        "last", description="Which answers of a conversation are learned. Evaluation always asks the last turn."
    )
    reasoning: Literal["drop", "keep"] = Field(
        "drop",
        description="Leave out the reasoning before an answer (`reasoning_content`, `reasoning`, `thinking`), or keep "
        "it as part of the answer, between `<think>` and `</think>`.",
    )
    options: Literal["found", "given", "none"] | list[str] = Field(
        "found",
        description="`found`: a task is a choice if its rows name options or its answers are few, short and repeated; "
        "`given`: only if its rows name options; `none`: never; a list: the options of every task. A list of tasks "
        "may set this for each task.",
    )
    metadata: list[str] = Field(
        default_factory=list, description="Columns to keep as metadata of each example; others are left out."
    )
    refine: list[str | ComponentConfig] = Field(
        default_factory=list,
        description="Refiners of each task's train split, by name or `{name: ..., params: {...}}`, applied in this "
        "order before sampling (`inscl list refiners`).",
    )

    @field_validator("options", mode="before")
    @classmethod
    def _choice(cls, options: Any) -> Any:
        if problem := options_problem(options):
            raise ValueError(problem)
        return options


class AdapterConfig(_Section):
    """How the model is changed: a kind of adapter and the adapter's own parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, protected_namespaces=())

    kind: str = Field(
        "lora",
        description="Name of the adapter (`inscl list`): `lora` trains low-rank updates, `osf` the directions of each "
        "weight matrix that matter least (Orthogonal Subspace Fine-tuning), `none` all weights. Its parameters are "
        "written next to it, such as `{kind: lora, r: 8}`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _written_out(cls, value: Any) -> Any:
        # Defaults belong to what decides a result: one that changes must change the key of results.
        if not isinstance(value, Mapping) or not isinstance(value.get("kind", "lora"), str):
            return value
        kind = value.get("kind", "lora")
        try:
            known = kinds.in_full("adapters", kind, {key: one for key, one in value.items() if key != "kind"})
        except InsclError:  # told with all other mistakes
            return value
        return {"kind": kind, **known}


class ModelConfig(_Section):
    """The model that is taught."""

    name: str = Field(
        "smollm2-135m",
        description="Alias, hub id, local folder or `.gguf` file; or `tokenizer:` and a hub id or folder, where the "
        "weights are elsewhere (learner `served`).",
    )
    adapter: AdapterConfig = Field(default_factory=AdapterConfig, description="How the model is changed.")
    prompt: Literal["chat", "plain"] = Field(
        "chat", description="The model's chat template, or the paper's plain form: instruction, blank line, input."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="`auto`: bf16 if the machine supports it.")
    keep: Literal["last", "all"] = Field("last", description="Which stages' weights are kept on disk.")

    @property
    def adapter_mode(self) -> str:
        """What becomes of the adapter from stage to stage: ``keep``, ``merge``, ``fresh``, or ``none`` without one."""
        return "none" if self.adapter.kind == "none" else str(self.adapter.model_dump().get("mode", "keep"))


class BudgetConfig(_Section):
    """How much may be replayed at a stage; set exactly one."""

    per_task: int | None = Field(None, ge=0, description="Examples per earlier task (the paper: 200).")
    total: int | None = Field(None, ge=0, description="Examples in all.")
    share: float | None = Field(None, ge=0, description="Examples as a share of the new task's train split.")
    tokens: int | None = Field(
        None, ge=0, description="Tokens of prompts and answers in all, by the model's tokenizer."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> BudgetConfig:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"set exactly one of per_task, total, share, tokens (got {', '.join(given) or 'none of them'})"
            )
        return self


class ReplayConfig(_Section):
    """What is replayed while a new task is learned."""

    strategy: str = Field("inscl", description="Name of the strategy (`inscl list`).")
    budget: BudgetConfig = Field(
        default_factory=lambda: BudgetConfig(per_task=200), description="How much may be replayed at a stage."
    )
    params: dict[str, Any] = Field(default_factory=dict, description="The strategy's own parameters.")
    embedder: str | ComponentConfig = Field(
        "model", description="Embeds instructions: `model` is the base model's own mean-pooled hidden states."
    )
    tagger: str | ComponentConfig = Field(
        "keyphrases", description="Finds intention tags: `keyphrases` or `llm`; or what fixes answers: `key_parts`."
    )
    tag_embedder: str | ComponentConfig | None = Field(
        "minilm", description="Embeds tags so that synonyms can be merged; null merges only equal spellings."
    )


class TrainingConfig(_Section):
    """How a stage is trained. Other settings of transformers are passed through `hf_args`."""

    learner: str = Field("fine_tune", description="Name of the learner (`inscl list`).")
    params: dict[str, Any] = Field(default_factory=dict, description="The learner's own parameters.")
    objective: str | ComponentConfig = Field(
        "answer",
        description="What training minimises (`inscl list`): `answer` is cross-entropy on the answer alone; `distil` "
        "adds the divergence from the model before the stage on replayed examples, `soft_targets` that from the model "
        "that had just learned their task, and `kl_base` that from the base model on all examples.",
    )
    epochs: float = Field(2, gt=0, description="Passes over new data and replay together.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate.")
    batch_size: int = Field(8, ge=1, description="Examples per step and device.")
    max_length: int = Field(
        1024, ge=16, description="Maximum tokens of prompt and answer; longer prompts are shortened."
    )
    batching: Literal["length", "random", "pack"] = Field(
        "length", description="Group examples of similar length, mix them freely, or pack several into one row."
    )
    save_every: float | None = Field(
        30,
        ge=0,
        description="Seconds of training between checkpoints within a stage, from which an interrupted run resumes; "
        "longer if saving is slow. 0 makes one after every step, null none. It does not affect results.",
    )
    hf_args: dict[str, Any] = Field(
        default_factory=dict, description="Passed to `transformers.TrainingArguments`, such as `{report_to: wandb}`."
    )


class TestExamplesConfig(_Section):
    """How many test examples of a task are asked, by what is asked of them."""

    generation: int | None = Field(None, ge=1, description="For metrics of generated text. Default: all.")
    likelihood: int | None = Field(None, ge=1, description="For metrics of likelihoods and choices. Default: all.")


class EndpointConfig(_Section):
    """A server that answers the test questions in place of the model here."""

    llm: str | dict[str, Any] = Field(
        ...,
        description="The base model there: its name, or `{model: ..., base_url: ...}` with the fields that the learner "
        "`served` takes.",
    )
    adapters: Literal["load", "folder"] = Field(
        "load",
        description="How it comes to what was learned. `load`: vLLM loads each stage's adapter from its folder. "
        "`folder`: the folder of each stage's whole model is the name that is asked for (`transformers serve`).",
    )
    template: Literal["server", "local"] = Field("server", description="As for the learner `served`.")
    likelihoods: Literal["auto", "echo", "forced"] = Field("auto", description="As for the learner `served`.")


class EvaluationConfig(_Section):
    """How answers are made and scored."""

    metrics: list[str] = Field(
        default_factory=lambda: ["rouge_l", "exact_match"],
        min_length=1,
        description="Scorers and measures; the first one leads.",
    )
    test_examples: int | TestExamplesConfig | None = Field(
        None,
        description="Most test examples of a task that are asked, a fixed sample. A mapping says it apart for metrics "
        "of generated text and of likelihoods, as in `{generation: 20, likelihood: 200}`; the smaller sample is part "
        "of the larger. Default: all.",
    )
    max_new_tokens: int | dict[str, int] = Field(
        _LONGEST_ANSWER,
        description="Maximum tokens of an answer; a mapping sets it by task, with `default` for the rest.",
    )
    batch_size: int = Field(32, ge=1, description="Prompts answered in one batch.")
    scope: Literal["learned", "next", "all"] = Field(
        "learned",
        description="After a stage, score the tasks learned so far, also the next one (for forward transfer), or all.",
    )
    between: int | None = Field(
        None,
        ge=1,
        description="Maximum number of test examples scored per earlier task after stages before the last, to save "
        "time. The new task and the last stage are always scored in full. Default: all.",
    )
    judge: str | dict[str, Any] | None = Field(
        None,
        description="A language model that metrics may ask, as `v_score` does: its name, or "
        "`{model: ..., base_url: ...}` with the fields that refiners take for theirs.",
    )
    endpoint: EndpointConfig | None = Field(
        None,
        description="A server that answers the test questions, once each stage is learned. Default: the model answers "
        "here.",
    )
    base: bool = Field(False, description="Also score the base model on every task (row 0).")
    experts: bool = Field(
        False,
        description="Also train each task alone, as the reference for Relative Gain; and each held-out task that has "
        "train rows, as that for `p_score`.",
    )

    @field_validator("test_examples", "max_new_tokens", mode="after")
    @classmethod
    def _at_least_one(cls, given: Any) -> Any:
        counts = given.values() if isinstance(given, dict) else (given,)
        if any(isinstance(count, int) and count < 1 for count in counts):
            raise ValueError("must be at least 1")
        return given

    def most_asked(self, needs: str) -> int | None:
        """Most test examples of a task that are asked for ``text``, ``likelihood`` or ``choice``; None means all."""
        if isinstance(self.test_examples, TestExamplesConfig):
            return self.test_examples.generation if needs == "text" else self.test_examples.likelihood
        return self.test_examples

    def longest_answer(self, task: str) -> int:
        """`max_new_tokens` for one task."""
        if isinstance(self.max_new_tokens, int):
            return self.max_new_tokens
        return self.max_new_tokens.get(task, self.max_new_tokens.get("default", _LONGEST_ANSWER))

    def check_tasks(self, present: Sequence[str]) -> None:
        """Compare the tasks that `max_new_tokens` names with those that there are.

        Raises:
            ConfigError: It names others; all of them are told at once.
        """
        named = {} if isinstance(self.max_new_tokens, int) else self.max_new_tokens
        problems = [
            Problem(f"evaluation.max_new_tokens.{name}", f"there is no such task{nearest(name, present)}")
            for name in named
            if name != "default" and name not in present
        ]
        if problems:
            raise ConfigError(problems)


class RunConfig(_Section):
    """A run: one stream, one model, one replay strategy."""

    stream: StreamConfig = Field(default_factory=StreamConfig, description="Which tasks.")
    model: ModelConfig = Field(default_factory=ModelConfig, description="Which model.")
    replay: ReplayConfig = Field(default_factory=ReplayConfig, description="What is replayed.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="How a stage is trained.")
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig, description="How answers are scored.")
    output_dir: str = Field("runs/run", min_length=1, description="The run folder.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seeds sampling, selection and training.")
    label: str | None = Field(None, description="Name of the run in reports. Default: the strategy's name.")
