"""Rows refined on a Ray cluster: Ray Data deals them out, and what a language model answers is kept on this machine.

A task is cut into parts of rows. Each worker makes the configured refiner and says what becomes of the rows of a part;
leaks, provenance and files are this machine's work, as without a cluster. So is keeping answers that are paid for
(`inscl.planning.answers_on_ray`).
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inscl.contract import Example
from inscl.contract.refined import Made, Refined
from inscl.contract.seams import Progress, Refiner
from inscl.data.refiner_steps import Step, steps_of
from inscl.engine.cluster import connected
from inscl.errors import (
    ConfigError,
    DataError,
    EndpointError,
    InsclError,
    ModelError,
    Problem,
    UserError,
    WorkspaceError,
)
from inscl.llm.costs import Estimate, Spent
from inscl.llm.kept_answers import kept_by
from inscl.planning.answers_on_ray import Keeper, KeptThere, Stopped
from inscl.planning.on_ray import OnRay, dealt, last_line
from inscl.storage.files.cache import cache_dir

__all__ = ["ROWS", "RefineWorker", "refining_on"]

ROWS = 64
"""Rows that a worker is given at a time, or more where more have the same instruction and input."""

_END = object()
_KINDS: dict[str, type[InsclError]] = {
    kind.__name__: kind for kind in (DataError, EndpointError, ModelError, UserError, WorkspaceError, InsclError)
}


def refining_on(place: OnRay, progress: Progress) -> Callable[[Step], Any]:
    """The place for `inscl.refining.refine_stream.refine_stream` that is a Ray cluster.

    Args:
        place: The cluster.
        progress: Told how far each task is.
    """

    @contextmanager
    def opened(step: Step) -> Iterator[Step]:
        with connected(None, "refining on Ray") as ray:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            keeper = ray.remote(Keeper).options(num_cpus=0, scheduling_strategy=here).remote(str(Path.cwd()))
            try:
                yield replace(step, refiner=_DealtOut(step, place, ray, keeper, progress))
            finally:
                with suppress(ray.exceptions.RayError):
                    ray.get(keeper.leave.remote())
                ray.kill(keeper)

    return opened


class RefineWorker:
    """A refiner on a worker of Ray, made as on the machine that asked when the first rows come.

    Args:
        step: Its name and parameters, as JSON.
        fingerprint: The step's where the rows are from.
        cache: The cache folder there.
        keeper: The actor that keeps answers.
    """

    def __init__(self, step: str, fingerprint: str, cache: str, keeper: Any) -> None:
        import ray

        self._worker = str(ray.get_runtime_context().get_worker_id())
        self._given, self._fingerprint, self._cache, self._keeper = json.loads(step), fingerprint, cache, keeper
        self._step: Step | None = None

    def __call__(self, batch: Any) -> Any:
        """Parts of rows -> their places with what becomes of each, or why that can't be said."""
        import pyarrow as pa

        done = [self._part(one) for one in batch["rows"].to_pylist()]
        return pa.table({"places": batch["places"], "outcomes": pa.array(done, pa.binary())})

    def _part(self, rows: bytes) -> bytes:
        import ray

        if ray.get(self._keeper.stopped.remote()):
            return b""
        try:
            with kept_by(self._kept):
                told = [_told(outcome) for outcome in self._refiner.refine([*map(Example.from_json, json.loads(rows))])]
        except Stopped:
            return b""
        except InsclError as error:
            kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _KINDS)
            return json.dumps({"error": [kind, str(error)]}).encode()
        finally:
            ray.get(self._keeper.count.remote(self._worker, self._spent()))
        return json.dumps(told).encode()

    @property
    def _refiner(self) -> Refiner:
        if self._step is None:
            (step,) = steps_of([self._given], "")
            if step.fingerprint != self._fingerprint:
                raise ModelError(
                    f"node {socket.gethostname()} has another refiner {step.name!r} than the machine that asked: "
                    "install the same version and models"
                )
            self._step = step
        return self._step.refiner

    def _spent(self) -> Spent:
        asks = self._step is not None and self._step.asks
        spent: Spent = self._step.refiner.spent if asks else Spent()  # type: ignore[union-attr]
        return spent

    def _kept(self, path: Path, fingerprint: str) -> KeptThere:
        # What would stand in this machine's cache folder stands in that of the command.
        file = Path(self._cache, path.name) if path.parent == cache_dir() else path
        return KeptThere(self._keeper, str(file), fingerprint, self._worker, self._spent)


@dataclass
class _DealtOut:
    """A refiner whose work is done by workers.

    Attributes:
        step: The refiner as it is on this machine.
        place: The cluster.
        ray: The package, connected.
        keeper: The actor that keeps answers.
        progress: Told how far it is.
        away: What workers spent.
    """

    step: Step
    place: OnRay
    ray: Any
    keeper: Any
    progress: Progress
    away: Spent = field(default_factory=Spent)

    @property
    def traits(self) -> Any:
        return self.step.refiner.traits  # type: ignore[attr-defined]

    @property
    def fingerprint(self) -> str:
        return str(self.step.refiner.fingerprint)  # type: ignore[attr-defined]

    @property
    def spent(self) -> Spent:
        here: Spent = self.step.refiner.spent  # type: ignore[attr-defined]
        return here + self.away

    def estimate(self, examples: Sequence[Example]) -> Estimate:
        found: Estimate = self.step.refiner.estimate(examples)  # type: ignore[attr-defined]
        return found

    def refine(self, examples: Sequence[Example]) -> Iterator[Refined]:
        """What becomes of each row, in order; rows with pictures, whose files workers don't have, are refined here.

        Raises:
            InsclError: The refiner failed on a worker; what was answered is kept.
            KeyboardInterrupt: After the answers that were on their way have come and are kept; a second one ends at
                once.
        """
        shown = [place for place, example in enumerate(examples) if example.images]
        done = dict(zip(shown, self.step.refiner.refine([examples[place] for place in shown]), strict=True))
        parts = _parts(examples, ROWS)
        self.progress.phase(f"refine {len(examples)} rows on Ray", len(examples))
        try:
            with closing(self._answered(examples, parts)) as answered:
                for places, told in answered:
                    done |= {place: _outcome(examples[place], row) for place, row in zip(places, told, strict=True)}
                    self.progress.advance(len(done))
        finally:
            with suppress(self.ray.exceptions.RayError):
                self.away = self.ray.get(self.keeper.spent.remote())
        return (done[place] for place in range(len(examples)))

    def _answered(
        self, examples: Sequence[Example], parts: Sequence[Sequence[int]]
    ) -> Generator[tuple[list[int], list[Any]]]:
        """The places of each part with what workers told of its rows, in the order in which parts are done."""
        import pyarrow as pa

        if not parts:
            return
        arguments = (self._given(), self.step.fingerprint, str(cache_dir().absolute()), self.keeper)
        rows = [json.dumps([examples[place].to_json() for place in part]).encode() for part in parts]
        table = pa.table({"places": pa.array(parts, pa.list_(pa.int64())), "rows": pa.array(rows, pa.binary())})
        results = _InBackground(dealt(table, RefineWorker, arguments, self.place))
        try:
            for row in results:
                if row["outcomes"]:
                    yield row["places"], self._told(json.loads(row["outcomes"]), len(row["places"]))
        except self.ray.exceptions.RayError as error:
            raise ModelError(f"the refiner {self.step.name!r} failed on Ray: {last_line(error)}") from error
        except BaseException:
            self.ray.get(self.keeper.stop.remote())
            self.progress.note("waiting for what workers have begun, to keep the answers; Ctrl-C ends at once")
            with suppress(self.ray.exceptions.RayError):
                for _ in results:
                    pass
            raise

    def _given(self) -> str:
        """Name and parameters, for workers."""
        try:
            return json.dumps({"name": self.step.name, "params": dict(self.step.parameters)})
        except TypeError as error:
            said = f"only plain values can be sent to workers: {error}"
            raise ConfigError([Problem("params", said)], f"refiner {self.step.name}") from error

    def _told(self, told: Any, count: int) -> list[Any]:
        """What a worker told of so many rows, or the error that it met."""
        if isinstance(told, Mapping):
            kind, message = told["error"]
            raise _KINDS[kind](message)
        if len(told) != count:
            raise InsclError(f"the refiner {self.step.name!r} is broken: it told of {len(told)} of {count} examples")
        rows: list[Any] = told
        return rows


def _parts(examples: Sequence[Example], rows: int) -> list[list[int]]:
    """Places of rows without pictures, dealt into parts; those that are asked about alike are in one part.

    Of rows with the same instruction and input a refiner may ask the same, and one worker asks it once.
    """
    alike: dict[tuple[str, str], list[int]] = {}
    for place, example in enumerate(examples):
        if not example.images:
            alike.setdefault((example.instruction, example.input), []).append(place)
    parts: list[list[int]] = []
    for places in alike.values():
        if not parts or len(parts[-1]) >= rows:
            parts.append([])
        parts[-1] += places
    return parts


def _told(outcome: Refined) -> dict[str, Any]:
    """What became of a row, as plain values; the row itself isn't sent back."""
    made = [
        {"example": one.example.to_json(), "how": one.how, "parents": list(one.parents), "facts": dict(one.facts)}
        for one in outcome.made
    ]
    return {
        "id": outcome.original.id,
        "outcome": outcome.outcome,
        "made": made,
        "reason": outcome.reason,
        "facts": dict(outcome.facts),
    }


def _outcome(original: Example, told: Mapping[str, Any]) -> Refined:
    """The inverse of `_told`, for the row that it was told of."""
    made = tuple(
        Made(Example.from_json(one["example"]), one["how"], tuple(one["parents"]), one["facts"]) for one in told["made"]
    )
    if told["id"] != original.id:
        raise InsclError("a refiner is broken: it told of another example than the one that was next")
    return Refined(original, told["outcome"], made, told["reason"], told["facts"])


class _InBackground:
    """What an iterator gives, from a thread of its own: an interrupt of the main thread doesn't end it.

    Args:
        source: The iterator.
    """

    def __init__(self, source: Iterator[Any]) -> None:
        self._source, self._thread = source, ThreadPoolExecutor(1, thread_name_prefix="inscl-ray")
        self._coming: Future[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._coming is None:
            self._coming = self._thread.submit(next, self._source, _END)
        value = self._coming.result()  # whoever is interrupted here gets it with the next call
        if value is _END:
            raise StopIteration
        self._coming = None
        return value
