"""The configuration: one YAML file, every field documented where it is defined, every mistake told at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from inscl import components
from inscl.confidential import secret_problems
from inscl.data.quoting import excerpt
from inscl.data.yaml_values import LARGEST_TEXT, YamlProblem, parse_yaml
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
    "TrainingConfig",
    "load_config",
    "read_yaml",
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class StreamConfig(_Section):
    """Which tasks, in which order, and how much of each."""

    path: str | list[Any] = Field(
        "demo",
        description="A folder, a file, a YAML list, a hub id, or `demo`, the stream that ships with inscl. "
        "Relative paths start where the command is given.",
    )
    order: str | list[str] | None = Field(
        None, description="A named order (`inscl data orders` lists them) or task names. Default: as the stream has it."
    )
    columns: dict[str, str] | None = Field(
        None, description="Where a field is found, as in `{instruction: question, output: answer}`."
    )
    train_per_task: int | None = Field(
        None, ge=1, description="Seeded sample of each train split, spread evenly over source tasks."
    )
    test_per_task: int | None = Field(None, ge=1, description="The same for each test split.")
    test_share: float = Field(
        0.2, gt=0, lt=1, description="Part of a task held out for testing, by content hash, where it has no test split."
    )
    leaks: Literal["error", "drop", "allow"] = Field(
        "error", description="A test example that also stands in train: stop, leave out the train copy, or keep both."
    )
    skip_bad_rows: bool = Field(
        False, description="Write rows that can't be read to `rejected.jsonl` and go on, instead of stopping."
    )


class AdapterConfig(_Section):
    """How the model is changed."""

    kind: Literal["lora", "osf", "none"] = Field(
        "lora",
        description="`lora` trains an adapter, `osf` the directions of each weight matrix that matter least "
        "(Orthogonal Subspace Fine-tuning), `none` all weights.",
    )
    r: int = Field(16, ge=1, description="Rank of the adapter.")
    alpha: float = Field(32, gt=0, description="Scale of the adapter; its effect is alpha / r.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout before the adapter.")
    target_modules: str | list[str] = Field("all-linear", description="Which modules get one, as PEFT names them.")
    mode: Literal["keep", "merge", "fresh"] = Field(
        "keep",
        description="From stage to stage: go on with the same adapter; merge it into the weights and start another; "
        "or start over from the base model, so that only replay carries the past. `osf` always goes on.",
    )
    effective_rank: int | float | None = Field(
        None, description="`osf`: directions protected at the first stage, a number or a share. Default: 0.5, half."
    )
    rank_step: int | float = Field(0, ge=0, description="`osf`: what each later stage adds to `effective_rank`.")
    hold: bool = Field(
        True,
        description="`osf`: project after each step too; PEFT projects gradients alone, which AdamW undoes in part.",
    )

    @model_validator(mode="after")
    def _osf_alone(self) -> AdapterConfig:
        given = [key for key in self._of_osf if getattr(self, key) != type(self).model_fields[key].default]
        if given and self.kind != "osf":
            raise ValueError(f"{', '.join(given)}: only where kind is osf")
        return self

    @model_serializer(mode="wrap")
    def _of_its_kind(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # What another kind doesn't have is no part of its identity: records made before osf was there stay valid.
        return {key: value for key, value in dump(self).items() if self.kind == "osf" or key not in self._of_osf}

    _of_osf: ClassVar[tuple[str, ...]] = ("effective_rank", "rank_step", "hold")


class ModelConfig(_Section):
    """The model that learns."""

    name: str = Field("smollm2-135m", description="Alias, hub id, local folder or `.gguf` file.")
    adapter: AdapterConfig = Field(default_factory=AdapterConfig, description="How the model is changed.")
    prompt: Literal["chat", "plain"] = Field(
        "chat", description="The model's chat template, or the paper's plain form: instruction, blank line, input."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field("auto", description="`auto`: bf16 where the machine has it.")
    keep: Literal["last", "all"] = Field("last", description="Which stages' weights stay on disk.")


class BudgetConfig(_Section):
    """How much may be replayed at a stage; set exactly one."""

    per_task: int | None = Field(None, ge=0, description="Examples for each earlier task (the paper: 200).")
    total: int | None = Field(None, ge=0, description="Examples in all.")
    share: float | None = Field(None, ge=0, description="Examples as a share of the new task's train split.")
    tokens: int | None = Field(None, ge=0, description="Tokens of prompt and answer in all, by the model's tokenizer.")

    @model_validator(mode="after")
    def _exactly_one(self) -> BudgetConfig:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"set exactly one of per_task, total, share, tokens (got {', '.join(given) or 'none of them'})"
            )
        return self


class ComponentConfig(_Section):
    """A component by name, with parameters of its own."""

    name: str = Field(description="Registered name.")
    params: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the component.")


class ReplayConfig(_Section):
    """What is rehearsed while a new task is learned."""

    strategy: str = Field("inscl", description="Name of the strategy (`inscl list`).")
    budget: BudgetConfig = Field(
        default_factory=lambda: BudgetConfig(per_task=200), description="How much may be replayed at a stage."
    )
    params: dict[str, Any] = Field(default_factory=dict, description="The strategy's own parameters.")
    embedder: str | ComponentConfig = Field(
        "model", description="Embeds instructions: `model` is the base model's own mean-pooled hidden states."
    )
    tagger: str | ComponentConfig = Field("keyphrases", description="Finds intention tags: `keyphrases` or `llm`.")
    tag_embedder: str | ComponentConfig | None = Field(
        "minilm", description="Embeds tags so that synonyms are merged; null merges equal spellings only."
    )


class TrainingConfig(_Section):
    """How a stage is trained. Whatever transformers has a name for goes through `hf_args`."""

    learner: str = Field("fine_tune", description="Name of the learner (`inscl list`).")
    params: dict[str, Any] = Field(default_factory=dict, description="The learner's own parameters.")
    epochs: float = Field(2, gt=0, description="Passes over new data and replay together.")
    learning_rate: float = Field(1e-3, gt=0, description="Peak learning rate.")
    batch_size: int = Field(8, ge=1, description="Examples a step on a device.")
    max_length: int = Field(1024, ge=16, description="Longest prompt and answer, tokens; longer prompts are shortened.")
    batching: Literal["length", "random", "pack"] = Field(
        "length", description="Put examples of like length together, mix freely, or pack several into one row."
    )
    save_every: float | None = Field(
        30,
        ge=0,
        description="Seconds of training after which a checkpoint is made inside a stage, for a run that is killed to "
        "go on from; more where saving takes long. 0 makes one a step, null none. Changes no result.",
    )
    hf_args: dict[str, Any] = Field(
        default_factory=dict, description="Passed on to `transformers.TrainingArguments`, as in `{report_to: wandb}`."
    )


class EvaluationConfig(_Section):
    """How answers are made and scored."""

    metrics: list[str] = Field(
        default_factory=lambda: ["rouge_l", "exact_match"], min_length=1, description="Scorers; the first one leads."
    )
    max_new_tokens: int | dict[str, int] = Field(
        64, description="Longest answer; a mapping gives it by task, its `default` for the rest."
    )
    batch_size: int = Field(32, ge=1, description="Prompts answered together.")
    scope: Literal["learned", "next", "all"] = Field(
        "learned",
        description="After a stage, score the tasks learned so far, those and the next (for forward transfer), or all.",
    )
    between: int | None = Field(
        None,
        ge=1,
        description="Score at most so many test examples of each earlier task after stages before the last, to save "
        "time; the new task and the last stage are always scored whole. Default: all.",
    )
    base: bool = Field(False, description="Also score the base model on every task: row 0.")
    experts: bool = Field(False, description="Also train each task alone: what Relative Gain is relative to.")

    def longest_answer(self, task: str) -> int:
        """`max_new_tokens` for one task."""
        if isinstance(self.max_new_tokens, int):
            return self.max_new_tokens
        return self.max_new_tokens.get(task, self.max_new_tokens.get("default", 64))


class RunConfig(_Section):
    """A run: one stream, one model, one replay strategy."""

    stream: StreamConfig = Field(default_factory=StreamConfig, description="Which tasks.")
    model: ModelConfig = Field(default_factory=ModelConfig, description="Which model.")
    replay: ReplayConfig = Field(default_factory=ReplayConfig, description="What is rehearsed.")
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="How a stage is trained.")
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig, description="How answers are scored.")
    output_dir: str = Field("runs/run", min_length=1, description="The run folder.")
    seed: int = Field(0, ge=0, lt=2**32, description="Seeds sampling, selection and training.")
    label: str | None = Field(None, description="What reports call the run. Default: the strategy's name.")

    def identity(self) -> dict[str, Any]:
        """The part of the configuration that decides a run's results; two runs that share it are the same run."""
        values = self.model_dump(mode="json")
        for key in ("output_dir", "label"):
            del values[key]
        for key in ("base", "experts", "batch_size"):
            del values["evaluation"][key]
        del values["model"]["keep"]
        del values["training"]["save_every"]
        return values


def load_config(source: RunConfig | Mapping[str, Any] | str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and check a configuration.

    Args:
        source: A YAML file, a run's folder, a mapping of its content, or a configuration as it is.
        overrides: Changes as in ``training.epochs=3``; the value is read as YAML.

    Raises:
        ConfigError: Everything that is wrong: unknown keys with the nearest valid one, values out of range, unknown
            strategies and metrics, parameters that the strategy doesn't have.
    """
    if isinstance(source, RunConfig):
        values, where = source.model_dump(mode="json"), "configuration"
    elif isinstance(source, Mapping):
        values, where = dict(source), "configuration"
    else:
        file = Path(source) / "inscl.yaml" if Path(source).is_dir() else Path(source)
        values, where = read_yaml(file), str(file)
        if (file.parent / "workspace.json").exists():
            # Wherever a workspace was moved to, that is where it is.
            values["output_dir"] = str(file.parent.resolve())
    problems = [problem for override in overrides if (problem := _override(values, override))]
    problems += secret_problems(values)
    config = None
    try:
        config = RunConfig.model_validate(values)
    except ValidationError as error:
        problems += [_translate(detail) for detail in error.errors()]
    problems += _component_problems(values)
    if problems or config is None:
        raise ConfigError(problems, where)
    return config


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, read safely.

    Raises:
        ConfigError: No such file, not YAML, a key that stands twice, or no mapping.
    """
    try:
        with path.open("rb") as file:  # no more than can be used, whatever stands there
            values = parse_yaml(file.read(4 * LARGEST_TEXT).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"can't read it ({error.strerror}); give the path of a YAML file", str(path)) from error
    except ValueError as error:
        line = getattr(error, "line", None)
        place = f", line {line}" if line else ""
        raise ConfigError(f"not valid YAML{place}: {error}", str(path)) from error
    if not isinstance(values, dict):
        raise ConfigError("must hold headings such as `stream:` and `replay:`; it holds none", str(path))
    return values


def _override(values: dict[str, Any], text: str) -> Problem | None:
    key, equals, raw = text.partition("=")
    if not equals or not key:
        return Problem(text, "an override reads key=value, as in training.epochs=3")
    try:
        value = parse_yaml(raw)
    except YamlProblem as problem:
        return Problem(key, f"the value {excerpt(raw)} is not valid YAML: {problem}")
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        inner = section.get(parent)
        # A copy, so that the caller's mapping stays as it was.
        section[parent] = dict(inner) if isinstance(inner, Mapping) else {}
        section = section[parent]
    if parents[-1:] == ["budget"]:
        # Only one kind of budget may be set, so naming another replaces it.
        section.clear()
    section[last] = value
    return None


def _translate(detail: Any) -> Problem:
    """One of pydantic's complaints in our words, with the nearest valid key for an unknown one."""
    path = [
        excerpt(str(part))[1:-1]
        for part in detail["loc"]
        if str(part) not in ("str", "ComponentConfig", "int", "list[any]")
    ]
    key = ".".join(path)
    if detail["type"] == "extra_forbidden":
        return Problem(key, f"no such key{nearest(path[-1], _fields_at(path[:-1]))}")
    if detail["type"] == "missing":
        return Problem(key, "is required")
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return Problem(key, f"must hold keys of its own: {', '.join(_fields_at(path)) or 'name: value'}")
    message = detail["msg"].removeprefix("Value error, ")
    shown = repr(detail["input"])
    return Problem(key, f"{message[0].lower()}{message[1:]}" + (f", got {shown}" if len(shown) < 80 else ""))


def _fields_at(path: Sequence[str]) -> list[str]:
    model: Any = RunConfig
    for part in path:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return list(getattr(model, "model_fields", {}))


# What inscl fills in itself: a configuration says these under their own headings.
_INJECTED = {"strategies": ("embedder", "tagger", "tag_embedder", "model", "seed", "losses", "name")}


def _component_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Unknown names and parameters, checked against the components themselves; malformed sections are left aside."""
    replay, evaluation, training = (
        section if isinstance(section := values.get(key), Mapping) else {}
        for key in ("replay", "evaluation", "training")
    )
    problems = _check_component("strategies", "replay.strategy", replay.get("strategy", "inscl"), replay.get("params"))
    learner = training.get("learner", "fine_tune")
    problems += _check_component("learners", "training.learner", learner, None)
    for key, kind, default in (
        ("embedder", "embedders", "model"),
        ("tagger", "taggers", "keyphrases"),
        ("tag_embedder", "embedders", "minilm"),
    ):
        given = replay.get(key, default)
        if isinstance(given, Mapping):
            problems += _check_component(kind, f"replay.{key}", given.get("name"), given.get("params"))
        else:
            problems += _check_component(kind, f"replay.{key}", given, None)
    metrics = evaluation.get("metrics", [])
    for metric in metrics if isinstance(metrics, list) else []:
        problems += _check_component("scorers", "evaluation.metrics", metric, None)
    return problems


def _check_component(kind: str, key: str, name: Any, params: Any) -> list[Problem]:
    if not isinstance(name, str):
        return []
    try:
        factory = components.load(kind, name)
    except ConfigError as error:
        return [Problem(key, problem.message) for problem in error.problems]
    except InsclError as error:
        return [Problem(key, str(error))]
    if kind in ("learners", "scorers") or not isinstance(params, Mapping | None):
        return []
    if any(not isinstance(key, str) for key in params or ()):
        return []  # the model of the configuration says so itself
    params = params or {}
    heading = "replay.params" if key == "replay.strategy" else f"{key}.params"
    given_by_us = (*_INJECTED.get(kind, ()), *(("model",) if name == "model" else ()))
    found = components.parameter_problems(factory, params, given_by_us)
    if kind == "strategies" and not found:
        try:
            factory(**params)
        except ConfigError as error:
            found = list(error.problems)
        except TypeError:
            # It needs something that only a run can give; the run will check it.
            found = []
    return [Problem(f"{heading}.{p.key}", p.message) for p in found]
