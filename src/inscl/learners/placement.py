"""Where in a stage the replayed examples come up, in place of a plain shuffle."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from inscl.contract.objective import TaughtExample

__all__ = ["PLACEMENTS", "Placed"]

PLACEMENTS = ("mixed", "paired", "late", "turns")


class Placed:
    """The order of a stage's examples, epoch by epoch: a sampler for torch's DataLoader.

    New examples come in an order that seed and stage alone decide, so that strategies with other replay see them in the
    same one: what they differ by is then not the luck of the order. Replayed examples are placed among them:

    - ``paired``: at random, spread over each epoch;
    - ``late``: half of their visits at random over the stage, half in its last third;
    - ``turns``: at equal distances, the earlier tasks taking turns.

    ``mixed`` is Trainer's own shuffle and no case of this class.

    Args:
        examples: What the stage teaches.
        placement: ``paired``, ``late`` or ``turns``.
        epochs: Passes over the examples; of a last part of one, its first examples.
        seed: Of the stage.
    """

    def __init__(self, examples: Sequence[TaughtExample], placement: str, epochs: float, seed: int) -> None:
        self.size, self.epoch = len(examples), 0
        new = [k for k, one in enumerate(examples) if not one.replayed]
        old = [k for k, one in enumerate(examples) if one.replayed]
        order, chance = np.random.default_rng([seed, 0]), np.random.default_rng([seed, 1])
        # Keys are times in epochs; an example comes when its key is due.
        keys: list[tuple[float, int]] = []
        late: list[int] = []
        shuffled = [int(k) for k in chance.permutation(old)]
        for turn in range(math.ceil(epochs)):
            keys += [(turn + (n + 0.5) / len(new), int(k)) for n, k in enumerate(order.permutation(new))]
            if placement == "turns":
                keys += [(turn + (n + 0.5) / len(old), k) for n, k in enumerate(_in_turns(examples, old, chance))]
                continue
            for n, k in enumerate(shuffled):
                waits = placement == "late" and (n + turn) % 2 == 1
                if waits and turn + 1 <= epochs:
                    late.append(k)
                    continue
                due = turn + float(chance.uniform())
                # Of a last part of a pass, an example that waits has a visit only if it was due within that part.
                if waits and due < epochs:
                    late.append(k)
                else:
                    keys.append((due, k))
        rest = [k for _, k in sorted(keys, key=lambda one: one[0])]
        self.order = _inserted(rest, late, round(epochs * self.size), chance)

    def set_epoch(self, epoch: int) -> None:
        """Which pass comes next, from 0; Trainer says it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[int]:
        # More passes than were planned, as `max_steps` may ask for, begin again with the first.
        begin = self.epoch * self.size % max(1, len(self.order))
        yield from self.order[begin : begin + self.size]


def _in_turns(examples: Sequence[TaughtExample], old: Sequence[int], chance: np.random.Generator) -> list[int]:
    """Replayed examples with the tasks taking turns, each in a random order of its own."""
    by_task: dict[str, list[int]] = {}
    for k in chance.permutation(old):
        by_task.setdefault(examples[k].task, []).append(int(k))
    queues = [by_task[task] for task in sorted(by_task)]
    longest = max(map(len, queues), default=0)
    return [queue[n] for n in range(longest) for queue in queues if n < len(queue)]


def _inserted(rest: Sequence[int], late: Sequence[int], end: int, chance: np.random.Generator) -> list[int]:
    """`rest` in its order, with `late` at random places of the last third before `end`, as far as that has room."""
    end = max(end, len(late))
    begin = end - max(math.ceil(end / 3), len(late))
    places = chance.choice(np.arange(max(0, begin), end), len(late), replace=False) if late else np.array([], int)
    at = dict(zip((int(place) for place in places), late, strict=True))
    remaining = iter(rest)
    return [at[place] if place in at else next(remaining) for place in range(len(rest) + len(late))]
