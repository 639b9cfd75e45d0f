"""What the columns of a row mean: Alpaca, dolly, conversations, TRL's forms, or any columns through a mapping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from inscl.contract import Example
from inscl.contract.example import Turn
from inscl.data.chats import Spoken, conversation_of, read_history, read_turns, with_reasoning
from inscl.data.columns import FIELDS, Columns, RowProblem, as_text, decoded, texts_of
from inscl.data.markers import all_lead, without_leading
from inscl.data.options import check_answer, read_options
from inscl.data.pictures import given_pictures
from inscl.data.readers.json_values import plain_value
from inscl.data.suggestions import suggested
from inscl.errors import ConfigError, Problem, nearest

__all__ = ["FIELDS", "Fields", "Layout", "RowProblem"]


@dataclass(frozen=True)
class Fields:
    """What a row says.

    Attributes:
        instruction: What is asked.
        input: What it is asked about; empty where the row has none.
        outputs: Every reference answer with text, at least one.
        turns: The conversation before the answer; empty where it is one turn of the user.
        options: The closed answers; empty where the row has none.
        options_from: Where these come from, for a finding.
        pictures: The pictures as the row has them, not read yet: paths, bytes, or mappings with one of these.
        metadata: The columns that were asked for.
        provenance: Of a row that a refiner made; empty where none did.
        split: As written; empty where the row names none.
        task: As written; empty where the row names none.
        source: As written; empty where the row names none.
        blank: How many reference answers were left out, since they are white space alone.
        unused: Columns and message fields with a value that was not used.
        preferred: Whether the answer was chosen over another one.
    """

    instruction: str
    input: str
    outputs: tuple[str, ...]
    turns: tuple[Turn, ...] = ()
    options: tuple[str, ...] = ()
    options_from: str = ""
    pictures: tuple[Any, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""
    task: str = ""
    source: str = ""
    blank: int = 0
    unused: tuple[str, ...] = ()
    preferred: bool = False


@dataclass(frozen=True)
class _Asked:
    """A question with its answers, of whichever form the row was."""

    instruction: str
    input: str
    outputs: tuple[str, ...]
    turns: tuple[Turn, ...] = ()
    unused: tuple[str, ...] = ()
    preferred: bool = False
    reasoned: bool = False
    pictures: tuple[Any, ...] = ()

    def pictured(self, given: Sequence[Any]) -> _Asked:
        """The same with the pictures of the row's column, its markers checked.

        Raises:
            RowProblem: Pictures and markers don't match, or the messages and the column both name pictures.
        """
        named = [one for one in self.pictures if one is not None]
        if named and given:
            raise RowProblem("pictures stand in the messages and in a column; one of the two was expected")
        if named and len(named) < len(self.pictures):
            raise RowProblem(f"{len(self.pictures) - len(named)} of the pictures in the messages have no path")
        pictures = tuple(named or given)
        if self.pictures and not pictures:
            raise RowProblem(
                "the messages have a picture, and the row doesn't say which: a column `images` was expected"
            )
        return replace(self._without_markers(len(pictures)), pictures=pictures) if pictures else self

    def _without_markers(self, count: int) -> _Asked:
        users = [turn.content for turn in self.turns if turn.role == "user"]
        others = [*(turn.content for turn in self.turns if turn.role != "user"), *self.outputs]
        if not all_lead(users or [self.instruction, self.input], others, count):
            return self
        first = next((number for number, turn in enumerate(self.turns) if turn.role == "user"), None)
        turns = tuple(
            replace(turn, content=without_leading(turn.content)) if number == first else turn
            for number, turn in enumerate(self.turns)
        )
        given, instruction = without_leading(self.input), without_leading(self.instruction)
        return replace(self, instruction=instruction, input=given, turns=turns)


@dataclass(frozen=True)
class Layout:
    """Reads rows whose columns have any names.

    Attributes:
        columns: Field (a key of `FIELDS`) -> column. ``"answer"`` is a column, ``"answers.text"`` a value inside a
            nested one, and ``"=Translate."`` no column but a fixed text, for data without an instruction; ``"="``
            alone turns a field off. Fields that aren't named are looked for under their usual names.
        turns: Which answers of a conversation are learned: the last one, or all.
        reasoning: Whether what the assistant thought before an answer is kept as a part of it, or left out.
        options: ``"none"`` leaves the column ``options`` and class labels aside; a list is every row's options.
        metadata: Columns that become an example's metadata.

    Raises:
        ConfigError: A key is no field.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    turns: Literal["last", "all"] = "last"
    reasoning: Literal["drop", "keep"] = "drop"
    options: Literal["found", "given", "none"] | Sequence[str] = "found"
    metadata: Sequence[str] = ()

    def __post_init__(self) -> None:
        problems = [
            Problem(f"stream.columns.{name}", f"no field has this name{nearest(str(name), list(FIELDS))}")
            for name in self.columns
            if name not in FIELDS
        ]
        problems += [
            Problem(f"stream.columns.{name}", f"a column, or '=' and a fixed text, was expected: {column!r}")
            for name, column in self.columns.items()
            if not isinstance(column, str) or not column
        ]
        if problems:
            raise ConfigError(problems, "columns")

    def parse(self, row: Mapping[str, Any], classes: Mapping[str, tuple[str, ...]] | None = None) -> Fields:
        """What `row` says.

        Args:
            row: Column -> value.
            classes: Column -> the names of its classes, where the row's format says them.

        Raises:
            RowProblem: A field is missing, null, of the wrong type, or there is no reference answer.
        """
        columns = Columns(row, self.columns, classes)
        asked = self._asked(columns).pictured(given_pictures(columns.value("images")))
        if not asked.instruction.strip():
            raise RowProblem(
                "the instruction is empty; give one to all rows with `columns: {instruction: '=Your text'}`"
            )
        said = tuple(text for text in asked.outputs if text.strip())
        if not said:
            raise RowProblem("the output is empty; a reference answer was expected")
        # An answer with what was thought before it is none of a few.
        options, options_from = ((), "") if asked.reasoned else self._options(columns)
        if options:
            check_answer(said, options)
        rest = {name: columns.text(name) for name in ("split", "task", "source")}
        metadata, provenance = columns.kept(self.metadata), _provenance(columns)
        return Fields(
            asked.instruction,
            asked.input,
            said,
            asked.turns,
            options,
            options_from,
            asked.pictures,
            metadata,
            provenance,
            **rest,
            blank=len(asked.outputs) - len(said),
            unused=(*columns.unused(), *dict.fromkeys(asked.unused)),
            preferred=asked.preferred,
        )

    def _asked(self, columns: Columns) -> _Asked:
        """The first form that the row has the columns of."""
        if "output" not in self.columns:
            if (chat := columns.value("messages")) is not None:
                return self._chat(columns, chat)
            if not columns.has("instruction") or "instruction" in self.columns:
                if columns.has("chosen"):
                    return self._preference(columns)
                if columns.has("prompt", "completion"):
                    return self._completion(columns)
        return self._plain(columns)

    def _plain(self, columns: Columns) -> _Asked:
        """Alpaca, with a system text and a history where it has them; dolly; mapped columns."""
        instruction, given = self._required(columns, "instruction"), columns.text("input")
        outputs = self._outputs(columns)
        thought = columns.text("reasoning") if self.reasoning == "keep" else ""
        outputs, reasoned = tuple(with_reasoning(thought, output) for output in outputs), bool(thought.strip())
        if own := _own_turns(columns):
            told = conversation_of([*own, Spoken("assistant", outputs[0])], "", self.turns == "all")
            return _Asked(instruction, given, outputs, told.turns, reasoned=reasoned)
        system, history = columns.text("system"), read_history(columns.value("history"))
        if not system.strip() and not history:
            return _Asked(instruction, given, outputs, reasoned=reasoned)
        if not instruction.strip():
            return _Asked("", given, outputs)  # which is told as any other empty instruction
        question = Spoken("user", Example(instruction, given, ("",)).prompt)
        told = conversation_of([*history, question, Spoken("assistant", "")], system, self.turns == "all")
        return _Asked(instruction, given, outputs, told.turns, reasoned=reasoned)

    def _chat(self, columns: Columns, value: Any) -> _Asked:
        """``messages`` or ``conversations``; a column ``prompt`` is what stands before them where nothing else does."""
        spoken = read_turns(value, columns.where("messages"))
        opening = next((turn.role for turn in spoken if turn.role != "system"), "")
        if opening == "assistant" and columns.has("prompt"):
            spoken = [*_turns_of(columns.take("prompt"), "user", "prompt"), *spoken]
        if preferred := bool(spoken) and spoken[-1].role == "user" and columns.has("chosen"):
            spoken += _turns_of(columns.take("chosen"), "assistant", "chosen")
        return self._conversation(columns, spoken, preferred)

    def _completion(self, columns: Columns) -> _Asked:
        """TRL's ``prompt`` and ``completion``, each a text or a list of messages."""
        if isinstance(columns.row.get(columns.name("label")), bool) and not columns.take("label"):
            raise RowProblem("its label is false: this completion is one that is not wanted, and can't be learned from")
        prompt = _turns_of(columns.take("prompt"), "user", "prompt")
        return self._conversation(columns, [*prompt, *_turns_of(columns.take("completion"), "assistant", "completion")])

    def _preference(self, columns: Columns) -> _Asked:
        """``chosen`` over ``rejected``: an answer to ``prompt``, or a conversation whose last turn is learned."""
        if not columns.has("prompt") and isinstance(columns.row[columns.name("chosen")], str):
            raise RowProblem("'chosen' is one text without a prompt; where its answer begins is not known")
        spoken = _turns_of(columns.take("chosen"), "assistant", "chosen")
        if all(turn.role == "assistant" for turn in spoken) and columns.has("prompt"):
            spoken = [*_turns_of(columns.take("prompt"), "user", "prompt"), *spoken]
        return self._conversation(columns, spoken, preferred=True)

    def _conversation(self, columns: Columns, spoken: Sequence[Spoken], preferred: bool = False) -> _Asked:
        # A conversation's own system turn counts before a column.
        own = any(turn.role == "system" and turn.text.strip() for turn in spoken)
        keep = self.reasoning == "keep"
        if keep and spoken and not spoken[-1].reasoning:
            spoken = [*spoken[:-1], replace(spoken[-1], reasoning=columns.text("reasoning"))]
        told = conversation_of(spoken, "" if own else columns.text("system"), self.turns == "all", keep)
        instruction, given, turns = told.system or told.users[0], told.users[-1], told.turns
        if "instruction" in self.columns:
            # A text that the user gives to all rows is said, too: before anything else, or as the system's turn.
            instruction = columns.text("instruction")
            if len(turns) > 1:
                first = "\n\n".join(part for part in (instruction, told.system) if part)
                turns = (Turn("system", first), *(turn for turn in turns if turn.role != "system"))
        elif not told.system and len(told.users) == 1:
            given = ""
        turns = turns if len(turns) > 1 else ()
        reasoned = keep and bool(spoken[-1].reasoning.strip())
        pictures = tuple(one for turn in spoken for one in turn.pictures)
        return _Asked(instruction, given, (told.answer,), turns, told.unused, preferred, reasoned, pictures)

    def _options(self, columns: Columns) -> tuple[tuple[str, ...], str]:
        if self.options == "none":
            return (), ""
        if not isinstance(self.options, str):
            return tuple(self.options), "as `options` gives them"
        if options := read_options(columns.value("options")):
            return options, "read from its column of options"
        if names := columns.class_names("output"):
            return names, "the classes of its column of answers"
        return (), ""

    def _required(self, columns: Columns, name: str) -> str:
        value = columns.value(name)
        if value is None:
            raise RowProblem(self._missing(columns, name))
        return as_text(value, name)

    def _outputs(self, columns: Columns) -> tuple[str, ...]:
        value = columns.value("output")
        if value is None:
            raise RowProblem(self._missing(columns, "output"))
        if not isinstance(value, (list, tuple)):
            return (as_text(value, "output"),)
        if not value:
            raise RowProblem("the list of outputs is empty; at least one reference answer was expected")
        return texts_of(value, "output")

    def _missing(self, columns: Columns, name: str) -> str:
        usual = (self.columns[name],) if name in self.columns else FIELDS[name]
        present = [column for usual_name in usual if (column := columns.name(usual_name)) in columns.row]
        if present:
            unnamed = " (a class label of -1 names no class)" if columns.class_names(name) else ""
            return f"{present[0]!r} is null{unnamed}; text was expected"
        message = (
            f"there is no column {' or '.join(map(repr, usual))}; {columns.listing()}. Expected instruction/input/"
            "output, instruction/context/response, messages, conversations, prompt/completion or prompt/chosen; "
        )
        if mapping := suggested(columns.row, self._parses):
            return f"{message}other names go in a mapping, here maybe `columns: {mapping}`"
        return f"{message}other names go in `columns: {{instruction: ..., output: ...}}`"

    def _parses(self, row: Mapping[str, Any], mapping: Mapping[str, str]) -> bool:
        if self.columns:
            return False
        try:
            Layout(mapping).parse(row)
        except (RowProblem, ConfigError):
            return False
        return True


def _provenance(columns: Columns) -> Mapping[str, Any]:
    """What a refiner wrote of a row; somebody's own column of that name is left aside, and told as not used."""
    value = decoded(columns.row.get(columns.name("provenance")))
    if not isinstance(value, Mapping) or not isinstance(value.get("refiner"), str):
        return {}
    ids = (value.get("parent"), value.get("ancestors", []))
    if not all(isinstance(one, str) or _is_texts(one) for one in ids):
        return {}
    columns.take("provenance")
    kept: dict[str, Any] = plain_value({key: part for key, part in value.items() if part is not None})
    return kept


def _own_turns(columns: Columns) -> list[Spoken]:
    """The column ``turns`` beside ``outputs``, as inscl writes a conversation; no other column of that name."""
    if not columns.has("instruction", "outputs", "turns") or not _is_turns(
        turns := decoded(columns.row[columns.name("turns")])
    ):
        return []
    columns.take("turns")
    return read_turns(turns, "turns")


def _is_turns(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, Mapping) and {"role", "content"} <= set(one) for one in value
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _turns_of(value: Any, role: Literal["user", "assistant"], column: str) -> list[Spoken]:
    """Messages, or a text that is one turn."""
    if isinstance(value, str) and not value.lstrip().startswith("[{"):
        return [Spoken(role, value)]
    return read_turns(value, column)
