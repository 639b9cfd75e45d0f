"""The formats of the files in a run folder that a report reads.

Unknown fields are left aside, so that a later inscl may write more; a field of the wrong type is damage.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from inscl.contract.scale import Better, Unit

__all__ = ["Heard", "Learned", "Manifest", "Metrics", "Plan", "Prediction", "Record", "Score", "Scores", "Share"]


class Record(BaseModel):
    """Base of the formats: nothing is converted, NaN and infinities are refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False, protected_namespaces=())


class TaskRecord(Record):
    """One task of the stream: split sizes in examples, distinct train instructions, settings of its stage alone."""

    name: str
    train: int
    test: int
    instructions: int | None = None
    fingerprint: str = ""
    settings: list[str] = []


class StreamRecord(Record):
    """The data: what it is called, what it is, and what its reader noticed."""

    name: str
    fingerprint: str = ""
    findings: list[str] = []
    tasks: list[TaskRecord]
    held_out: list[TaskRecord] = []


class ModelRecord(Record):
    """The base model."""

    name: str
    fingerprint: str = ""


class Manifest(Record):
    """``manifest.json``: where a run comes from."""

    version: Literal[1] = Field(alias="schema")
    created: str = ""
    inscl: str = ""
    python: str = ""
    platform: str = ""
    packages: dict[str, Any] = {}
    hardware: dict[str, Any] = {}
    seed: int | None = None
    stream: StreamRecord
    model: ModelRecord | None = None
    strategy: str
    label: str | None = None


class Score(Record):
    """Mean over n test examples and its standard error, in the metric's unit."""

    mean: float
    standard_error: float | None = None
    n: int | None = None


class CellRecord(Record):
    """R[stage][task], one score a metric."""

    stage: int
    task: str
    scores: dict[str, Score]


class ScaleRecord(Record):
    """Unit of a metric and which direction is good; see `inscl.contract.scale`."""

    unit: Unit
    better: Better


class Scores(Record):
    """``scores.json``: the score matrix, and the scores of tasks that are held out. What was not scored is absent."""

    version: Literal[1] = Field(alias="schema")
    metrics: dict[str, ScaleRecord]
    tasks: list[str]
    held_out: list[str] = []
    cells: list[CellRecord]
    experts: dict[str, dict[str, Score]] = {}


class Metrics(BaseModel):
    """``metrics.json``: per scorer its metrics by full name, null where undefined, and why they are."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, dict[str, Any]] = Field(init=False)

    version: Literal[1] = Field(alias="schema")
    undefined: dict[str, str] = {}

    def of(self, scorer: str) -> dict[str, Any]:
        """The metrics computed from one scorer's matrix; empty where there are none."""
        found: dict[str, Any] = (self.model_extra or {}).get(scorer, {})
        return found


class InstructionReason(Record):
    """What a strategy knew of an instruction, as far as reports show it."""

    insinfo: float | None = None
    rank: int | None = None
    tags: list[str] = []


class ShareReason(Record):
    """What a strategy knew of a task, as far as reports show it."""

    distance: float | None = None


class InstructionRecord(Record):
    """One instruction of an earlier task: worth, and examples of it in the plan."""

    instruction: str
    frequency: int
    picked: int
    reason: InstructionReason = InstructionReason()

    @property
    def insinfo(self) -> float | None:
        """Its InsInfo, nats; None where the strategy measures none."""
        return self.reason.insinfo

    @property
    def rank(self) -> int | None:
        """1-based, most informative first; None where there is no ranking."""
        return self.reason.rank

    @property
    def tags(self) -> list[str]:
        """Its merged intention tags."""
        return self.reason.tags


class Share(Record):
    """One earlier task's part of a plan."""

    task: str
    available: int
    allocation: int
    weight: float | None = None
    instructions: list[InstructionRecord] = []
    reason: ShareReason = ShareReason()

    @property
    def distance(self) -> float | None:
        """Transport distance to the new task; None where the strategy measures none."""
        return self.reason.distance


class Plan(Record):
    """``plan.json``: what was rehearsed at a stage."""

    version: Literal[1] = Field(alias="schema")
    new_task: str
    strategy: str
    parameters: dict[str, Any] = {}
    budget: dict[str, float] = {}
    picks: int
    tasks: list[Share]
    notes: list[str] = []


class Learned(Record):
    """``learn.json``: what learning one stage took; the fields of `inscl.contract.seams.LearnReport`."""

    steps: int
    examples: int
    replayed: int
    tokens: int
    answer_tokens: int
    replay_tokens: int
    seconds: float
    loss: float | None = None
    truncated: int = 0
    facts: dict[str, Any] = {}


class PictureRecord(Record):
    """A picture that was asked about: what the data calls it, and what tells its bytes."""

    path: str
    sha256: str


class Heard(Record):
    """One row of ``listening.jsonl``: a question, and the answers to it as it is and with its key part changed."""

    id: str
    task: str
    instruction: str
    input: str = ""
    parts: list[str]
    other: str = ""
    prediction: str
    without: str
    swapped: str | None = None

    @property
    def changed_without(self) -> bool:
        """Whether the answer is another one without the key parts; white space doesn't count."""
        return self.without.split() != self.prediction.split()

    @property
    def changed_swapped(self) -> bool | None:
        """Whether it is another one with `other` in their place; None where that wasn't asked."""
        return None if self.swapped is None else self.swapped.split() != self.prediction.split()


class Prediction(Record):
    """One row of ``predictions/<task>.jsonl``; scores in [0, 1] where the metric's unit is percent."""

    id: str
    instruction: str
    input: str = ""
    references: list[str]
    prediction: str | None
    scores: dict[str, float]
    options: list[str] = []
    option_log_probabilities: list[float] | None = None
    images: list[PictureRecord] = []

    @property
    def answer(self) -> str | None:
        """What was generated; where nothing was, the likeliest option; None where nothing was chosen either."""
        known = self.option_log_probabilities
        if self.prediction is None and known:
            return self.options[known.index(max(known))]
        return self.prediction
