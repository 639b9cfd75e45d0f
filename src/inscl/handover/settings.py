"""What another trainer has to know, in this project's words; every target writes it in its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inscl.config.settings import RunConfig
from inscl.contract import Example
from inscl.contract.example import Turn
from inscl.errors import ConfigError
from inscl.models.names import hub_name, resolve
from inscl.storage.files.atomic import read_json
from inscl.storage.files.cache import cache_dir

__all__ = ["Lora", "PromptForm", "Settings", "prompt_form", "settings_of"]


@dataclass(frozen=True)
class Lora:
    """The adapter to train.

    Attributes:
        r: Rank.
        alpha: Scale; the update counts alpha / r.
        dropout: Dropout before the adapter.
        target_modules: ``all-linear``, or names of modules.
    """

    r: int
    alpha: float
    dropout: float
    target_modules: str | list[str]

    @property
    def modules(self) -> list[str]:
        """`target_modules` as a list."""
        return [self.target_modules] if isinstance(self.target_modules, str) else list(self.target_modules)

    @property
    def scale(self) -> int | float:
        """`alpha`, as a whole number where it is one: most programs expect that."""
        return int(self.alpha) if self.alpha == int(self.alpha) else self.alpha


@dataclass(frozen=True)
class PromptForm:
    """How a prompt looks to the model.

    Attributes:
        chat: Whether the model's own chat template stands around it; else it is the text and a blank line.
        before: What stands before the text, written out.
        after: What stands between the text and the answer, written out.
        end: The text of the token that ends an answer.
        architecture: The model's class in transformers, as in ``LlamaForCausalLM``; empty if unknown.
        conversation: Writes out the turns of a conversation; None where the form has no way to.
    """

    chat: bool = True
    before: str = ""
    after: str = ""
    end: str = ""
    architecture: str = ""
    conversation: Callable[[Sequence[Turn]], str] | None = field(default=None, compare=False)

    def written_out(self, example: Example) -> str:
        """The whole prompt of an example, as the model sees it.

        Raises:
            ConfigError: It is a conversation, and the form has no way to write one out.
        """
        if not example.turns:
            return f"{self.before}{example.prompt}{self.after}"
        if self.conversation is None:
            raise ConfigError(
                f"example {example.id} ({example.source}) is a conversation, and without a chat "
                "template it has no form: set model.prompt: chat, or export to jsonl"
            )
        return self.conversation(example.turns)


@dataclass(frozen=True)
class Settings:
    """How the mix is to be trained on.

    Attributes:
        model: Hub id or folder of the model to begin with.
        task: Name of the new task; examples of any other are replayed.
        learning_rate: Its maximum; a cosine follows a warm-up of 3 % of the steps.
        epochs: Passes over the mix.
        batch_size: Examples a step on a device.
        max_length: Most tokens of an example.
        seed: Of everything random.
        lora: The adapter; None trains every weight.
        precision: ``auto``, ``bf16`` or ``fp32``, as the run has it.
        bf16: What that means where it is written.
        form: How a prompt looks to the model.
        pictures: Digest of each picture of the mix -> its path in the export; empty for a mix of texts.
        more: Arguments of transformers' `TrainingArguments` that the run set; they win.
        notes: What a reader of the export should know.
    """

    model: str
    task: str
    learning_rate: float
    epochs: float
    batch_size: int
    max_length: int
    seed: int
    lora: Lora | None
    precision: str
    bf16: bool
    form: PromptForm = field(default_factory=PromptForm)
    pictures: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def precision_notes(self) -> tuple[str, ...]:
        """What to change on a machine that has more than this one."""
        off = "No GPU with bf16 was found where this was written, so bf16 is off; on one that has it set `bf16: true`."
        return (off,) if self.precision == "auto" and not self.bf16 else ()


def settings_of(config: RunConfig, task: str, form: PromptForm, notes: tuple[str, ...] = ()) -> Settings:
    """The settings of a run, for its new `task`; a model that lies here is named by its folder's whole path."""
    training, adapter = config.training, config.model.adapter
    given = adapter.model_dump()
    lora = (
        Lora(*(given[key] for key in ("r", "alpha", "dropout", "target_modules"))) if adapter.kind == "lora" else None
    )
    return Settings(
        model=_model_for_others(config.model.name),
        task=task,
        learning_rate=training.learning_rate,
        epochs=training.epochs,
        batch_size=training.batch_size,
        max_length=training.max_length,
        seed=config.seed,
        lora=lora,
        precision=config.model.precision,
        bf16=_in_bf16(config.model.precision),
        form=form,
        more=dict(training.hf_args),
        notes=notes,
    )


def _model_for_others(name: str) -> str:
    """A folder or hub id that holds the weights that were taught.

    What was made of a GGUF file is named by its folder, the default model too: its weights aren't quite the hub's.
    """
    if Path(name).expanduser().exists():
        return str(resolve(name).resolve())
    if hub_name(name) == name:
        return name
    folder = resolve(name).resolve()
    return str(folder) if cache_dir().resolve() in folder.parents else hub_name(name)


def _in_bf16(precision: str) -> bool:
    """Whether to train in bf16: ``auto`` does on a GPU that has it, and where no torch is, since training is elsewhere.

    The other programs refuse bf16 on a CPU, so that a configuration made on one would not even load there.
    """
    if precision != "auto":
        return precision == "bf16"
    try:
        import torch
    except ImportError:
        return True
    return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())


def prompt_form(model: str, prompt: str) -> PromptForm:
    """What `model`, a name as in a configuration, sees around a prompt in the form ``chat`` or ``plain``.

    Raises:
        MissingExtraError: transformers isn't installed.
        ModelError: There is no such model, or its tokenizer can't be read.
    """
    from inscl.models.language_model import LanguageModel

    known = LanguageModel(model)
    encoder = known.encoder(prompt)
    before, after = encoder.frame()
    architectures = read_json(known.path / "config.json").get("architectures") or [""]

    def conversation(turns: Sequence[Turn]) -> str:
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        return str(known.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    chat = encoder.form == "chat"
    return PromptForm(chat, before, after, known.tokenizer.eos_token, architectures[0], conversation if chat else None)
