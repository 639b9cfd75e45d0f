"""What a reader must know before comparing the cells of a grid."""

from __future__ import annotations

from collections.abc import Sequence

from inscl.bench.numbers.observations import Observation

__all__ = ["notes_on"]


def notes_on(observations: Sequence[Observation], reference: str, without_reference: Sequence[str]) -> list[str]:
    """What stands against a comparison, a sentence each.

    Args:
        observations: Every cell.
        reference: The method that the others are compared with.
        without_reference: Models with a table that lacks it.
    """
    notes = [
        f"{model}: no cell of the reference {reference!r}, so that nothing is compared." for model in without_reference
    ]
    for model in dict.fromkeys(cell.model for cell in observations):
        cells = [cell for cell in observations if cell.model == model]
        if len({tuple(sorted(cell.tasks)) for cell in cells}) > 1:
            notes.append(f"{model}: the cells learned different tasks; means are over different things.")
        if len({tuple(sorted(cell.held_out)) for cell in cells}) > 1:
            notes.append(
                f"{model}: the cells hold out different tasks; general delta and P-score are over different things."
            )
        if uneven := _at_other_cells(cells):
            notes.append(
                f"{model}: {', '.join(uneven)} ran on other (order, seed) pairs at one budget than at another; compare "
                "within a budget, or the budgets on the pairs that they share."
            )
        if len({cell.hardware for cell in cells}) > 1:
            notes.append(f"{model}: the cells ran on different hardware; their seconds don't compare.")
        versions = sorted({cell.version for cell in cells if cell.version})
        if len(versions) > 1:
            notes.append(
                f"{model}: the cells were made by different versions of inscl ({', '.join(versions)}), which may be "
                "what differs; to have them alike, delete the older records and run the grid again."
            )
        if spiked := [f"{cell.method} {cell.order} seed {cell.seed}" for cell in cells if cell.spikes]:
            notes.append(
                f"{model}: the training loss spiked in {len(spiked)} of {len(cells)} cells ({', '.join(spiked)}), "
                "which may have diverged; they are counted like all others."
            )
        if ended := [
            f"{cell.method} {cell.order} seed {cell.seed} at {cell.diverged}" for cell in cells if cell.diverged
        ]:
            notes.append(
                f"{model}: training diverged in {len(ended)} of {len(cells)} cells ({', '.join(ended)}); from then on "
                "each counts as the base model, or as undefined where that was not scored."
            )
        if others := _with_other_experts(cells, reference):
            notes.append(
                f"{model}: the experts of {', '.join(others)} are others than those of {reference}. Relative Gain is "
                "relative to each one's own; average performance compares them directly."
            )
    return list(dict.fromkeys(notes))


def _at_other_cells(cells: Sequence[Observation]) -> list[str]:
    """Methods whose budgets of one kind were not all run on the same (order, seed) pairs."""
    found: dict[tuple[str, str], dict[float, set[tuple[str, int]]]] = {}
    for cell in cells:
        if cell.budget is not None:
            sizes = found.setdefault((cell.method, cell.budget[0]), {})
            sizes.setdefault(cell.budget[1], set()).add((cell.order, cell.seed))
    uneven = {name for (name, _), sizes in found.items() if len({frozenset(pairs) for pairs in sizes.values()}) > 1}
    return sorted(uneven)


def _with_other_experts(cells: Sequence[Observation], reference: str) -> list[str]:
    """Methods whose experts scored otherwise than the reference's on the same stream."""
    known = {cell.pairing: cell.experts for cell in cells if cell.method == reference and cell.experts}
    others = [cell.method for cell in cells if cell.experts and known.get(cell.pairing, cell.experts) != cell.experts]
    return list(dict.fromkeys(others))
