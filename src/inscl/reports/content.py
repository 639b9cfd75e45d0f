"""What the page says, section by section, taken from the runs; the templates only lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from inscl.contract.scale import Scale
from inscl.forgetting.case import right_or_wrong
from inscl.metrics import gain_of
from inscl.reports import charts, colours, forgotten, instructions, listening, summary, tables
from inscl.reports.answer import answer, caution, precision, primary
from inscl.reports.costs import costs
from inscl.reports.curves import average_over_stages, forgetting_curves, gain_over_stages
from inscl.reports.text import unit_name
from inscl.reports.thumbnails import Thumbnails
from inscl.storage.run.finished_run import Run, scale_in

__all__ = ["Limits", "content"]

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Limits:
    """How much of a run is shown; what is left out is counted on the page."""

    characters: int = 1_200
    lost_per_task: int = 10
    lost: int = 60
    instructions: int = 10
    dots: int = 80
    stages: int = 60
    tasks: int = 60
    planned: int = 20
    pictures: int = 60

    def halved(self) -> Limits:
        """Half of everything, but never so little that a section says nothing."""
        return Limits(
            max(80, self.characters // 2),
            max(1, self.lost_per_task // 2),
            max(4, self.lost // 2),
            max(2, self.instructions // 2),
            max(5, self.dots // 2),
            max(4, self.stages // 2),
            max(6, self.tasks // 2),
            max(2, self.planned // 2),
            max(4, self.pictures // 2),
        )


def content(runs: Sequence[Run], limits: Limits) -> dict[str, Any]:
    """Everything that the templates print, under the names they use."""
    scorer = primary(runs)
    bills = [costs(run) for run in runs]
    shown: dict[str, Any] = {
        "runs": runs,
        "limits": limits,
        "scorer": scorer,
        "all_runs": [charts.Series(run.label, number, {}) for number, run in enumerate(runs)],
        "scorers": list(dict.fromkeys(name for run in runs for name in run.scorers)),
        "answer": answer(runs),
        "cautions": caution(runs),
        "precision": precision(runs, scorer),
        "summary": summary.summary_rows(runs),
        "marks": charts.MARKS,
        "styles": Markup(colours.css() + (TEMPLATES / "style.css").read_text(encoding="utf-8")),
        "side_by_side": len(runs) > 1 and max(len(run.tasks) for run in runs) <= 6,
        "right": forgotten.RULE.right,
        "wrong": forgotten.RULE.wrong,
        "costs": bills,
        "most_tokens": max((line.tokens or 0 for bill in bills for line in bill if line.stage), default=0),
        "heard": listening.heard_of_runs(runs, limits.lost_per_task),
        "glance": summary.glance(runs, scorer, bills),
        "planned": lambda plan: instructions.planned(plan, limits.instructions, limits.dots, limits.planned),
        "planned_stages": lambda run: tables.planned_stages(run, limits.stages),
        "pictures": Thumbnails(limits.pictures).of,
        "unit": lambda name: unit_name(scale_in(runs, name)),
        **_heat_maps(runs, limits),
    }
    if scorer is not None:
        shown |= _scored(runs, scorer, limits)
    return shown


def _heat_maps(runs: Sequence[Run], limits: Limits) -> dict[str, Any]:
    """Tables in colour. All runs share one scale for each kind, so that they compare by eye."""
    shares = [share for run in runs for stage in run.stages if stage.plan for share in stage.plan.tasks]
    furthest = max((share.distance or 0 for share in shares), default=0)
    most = max((share.allocation for share in shares), default=0)
    stages, tasks = limits.stages, limits.tasks
    return {
        "score_matrix": lambda run, name: tables.score_matrix(run, name, stages, tasks, tables.span(runs, name)),
        "held_out": lambda run, name: tables.held_out_scores(run, name, stages, tasks, tables.span(runs, name)),
        "distances": [tables.distances(run, stages, furthest, tasks) for run in runs],
        "allocations": [tables.allocations(run, stages, most, tasks) for run in runs],
    }


def _scored(runs: Sequence[Run], scorer: str, limits: Limits) -> dict[str, Any]:
    """The sections that need scores."""
    scale = scale_in(runs, scorer)
    lost_by = right_or_wrong(runs[0].scales)
    gain = gain_over_stages(runs, scorer, limits.stages)
    average = average_over_stages(runs, scorer, limits.stages)
    found = forgetting_curves(runs, scorer, limits.stages, limits.tasks)
    return {
        "gain": gain,
        "scale": scale,
        "gain_chart": gain and charts.line_chart(gain, _stages(gain), f"{_title(scale)} over stages", goal=100),
        "gain_title": _title(scale),
        "average": average,
        "average_chart": average
        and charts.line_chart(average, _stages(average), "Average performance over stages", scale=scale),
        "curves": found,
        "metrics": {name: summary.metric_rows(runs, name) for run in runs for name in run.scorers},
        "lost_by": lost_by,
        "lost": forgotten.lost_answers(runs, lost_by, limits.lost_per_task, limits.lost) if lost_by else [],
    }


def _title(scale: Scale) -> str:
    """How the gain is called in a heading."""
    title = summary.METRICS[gain_of(scale)][0]
    return title[0].upper() + title[1:]


def _stages(series: Sequence[Any]) -> list[int]:
    return sorted({stage for line in series for stage in line.points})
