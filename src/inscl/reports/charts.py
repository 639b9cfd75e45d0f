"""Charts as inline SVG. Across, everything is in percent of the width, so text keeps its size on a phone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from inscl.contract.scale import PERCENT, Scale
from inscl.reports.text import plain, value, visible

__all__ = ["MARKS", "Dot", "Series", "line_chart", "strip"]

MARKS = (
    "M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0Z",
    "M-3.6-3.6H3.6V3.6H-3.6Z",
    "M0-4.8L4.6 3.4H-4.6Z",
    "M0-5L5 0L0 5L-5 0Z",
    "M0 4.8L4.6-3.4H-4.6Z",
    "M-5-1.6H-1.6V-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5Z",
    "M-5-3H5V3H-5Z",
    "M-3-5H3V5H-3Z",
)
"""One marker a run, drawn around the origin, so that lines are told apart without colour."""


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        label: The run.
        colour: Its number, for colour and marker.
        points: Stage -> value; a stage without a value is left open.
        errors: Stage -> standard error, where there is one.
        level: A horizontal line to compare with: the expert's score.
    """

    label: str
    colour: int
    points: Mapping[int, float]
    errors: Mapping[int, float] | None = None
    level: float | None = None


@dataclass(frozen=True)
class Dot:
    """One instruction in a strip: where it is, whether it was picked, and what to say about it."""

    at: float
    picked: bool
    title: str


@dataclass(frozen=True)
class _Frame:
    """Where values lie: across in percent of the width, with room at the left for the numbers of the scale."""

    stages: Sequence[int]
    low: float
    high: float
    height: int
    scale: Scale = PERCENT
    top: int = 18
    foot: int = 24

    def x(self, stage: float) -> float:
        first, last = self.stages[0], self.stages[-1]
        share = 0.5 if first == last else (stage - first) / (last - first)
        return 11 + share * 80

    def y(self, number: float) -> float:
        room = self.height - self.top - self.foot
        return self.top + room * (1 - (number - self.low) / (self.high - self.low))


def line_chart(
    series: Sequence[Series],
    stages: Sequence[int],
    title: str,
    height: int = 260,
    goal: float | None = None,
    scale: Scale = PERCENT,
) -> Markup:
    """Lines over stages; a percentage from 0 to 100 or beyond, anything else from 0 to what there is.

    Args:
        series: The lines.
        stages: The stages across, ascending; not empty.
        title: What is drawn, for those who don't see it; the description lists first and last value of each line.
        height: In pixels. The width is that of the page.
        goal: A value to mark across the whole chart.
        scale: The unit of the values.
    """
    numbers = [number for line in series for number in (*line.points.values(), *([line.level] if line.level else []))]
    frame = _Frame(stages, *_ends(numbers, scale), height, scale)
    svg = _picture(title, " ".join(_described(line, scale) for line in series), height)
    _axes(svg, frame, goal)
    for line in series:
        _draw(svg, frame, line)
    if height > 180:
        _last_values(svg, frame, series)
    return Markup(tostring(svg, encoding="unicode"))


def _ends(numbers: Sequence[float], scale: Scale) -> tuple[float, float]:
    """The lower and the upper end of the upright axis."""
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    if scale.unit == "percent":
        return min(0.0, math.floor(low / 20) * 20.0), max(100.0, math.ceil(high / 20) * 20.0)
    most = max(abs(low), abs(high)) or 1.0
    tick = 10.0 ** math.floor(math.log10(most)) / 2
    return min(0.0, math.floor(low / tick) * tick), max(0.0, math.ceil(high / tick) * tick) or tick


def strip(dots: Sequence[Dot], most: float, title: str) -> Markup:
    """Instructions along their InsInfo, 0..`most`: picked ones filled, in the upper lane; the others hollow, below."""
    picked = sum(dot.picked for dot in dots)
    svg = _picture(title, f"{picked} of {len(dots)} instructions picked.", 40)
    for x in (1.5, 98.5):
        _add(svg, "line", {"class": "grid", "x1": _percent(x), "x2": _percent(x), "y1": "4", "y2": "36"})
    _add(svg, "line", {"class": "grid", "x1": "1.5%", "x2": "98.5%", "y1": "20", "y2": "20"})
    for dot in dots:
        place = {
            "cx": _percent(1.5 + 97 * (dot.at / most if most else 0)),
            "cy": "12" if dot.picked else "28",
            "r": "4.5",
        }
        circle = _add(svg, "circle", {"class": "picked" if dot.picked else "passed", **place})
        _add(circle, "title", {}, dot.title)
    return Markup(tostring(svg, encoding="unicode"))


def _picture(title: str, description: str, height: int) -> Element:
    label = visible(f"{title}. {description}")
    svg = Element("svg", {"role": "img", "class": "chart", "width": "100%", "height": str(height), "aria-label": label})
    _add(svg, "title", {}, title)
    _add(svg, "desc", {}, description)
    return svg


def _axes(svg: Element, frame: _Frame, goal: float | None) -> None:
    large = frame.height > 180
    ticks = 5 if large else 2
    for number in (frame.low + part * (frame.high - frame.low) / ticks for part in range(ticks + 1)):
        y = _across(svg, frame, number, "grid")
        _add(svg, "text", {"x": "0", "y": f"{y - 4:.1f}"}, value(number, _whole(frame.scale)))
    if goal is not None:
        _across(svg, frame, goal, "goal")
    every = max(1, math.ceil(len(frame.stages) / (12 if large else 6)))
    for stage in frame.stages[::every]:
        place = {"x": _percent(frame.x(stage)), "y": str(frame.height - 6), "text-anchor": "middle"}
        _add(svg, "text", place, f"stage {stage}" if stage == frame.stages[0] else str(stage))


def _draw(svg: Element, frame: _Frame, line: Series) -> None:
    group = _add(svg, "g", {"class": f"run-{line.colour % len(MARKS)}"})
    if line.level is not None:
        _across(group, frame, line.level, "level")
    drawn = [(stage, line.points[stage]) for stage in frame.stages if stage in line.points]
    for (start, first), (end, second) in pairwise(drawn):
        adjacent = frame.stages.index(end) == frame.stages.index(start) + 1
        place = {"x1": _percent(frame.x(start)), "x2": _percent(frame.x(end)), "y1": f"{frame.y(first):.1f}"}
        _add(group, "line", {"class": "line" if adjacent else "line open", **place, "y2": f"{frame.y(second):.1f}"})
    for stage, number in drawn:
        x, error = _percent(frame.x(stage)), (line.errors or {}).get(stage)
        if error:
            low, high = (frame.y(min(max(edge, frame.low), frame.high)) for edge in (number - error, number + error))
            _add(group, "line", {"class": "error", "x1": x, "x2": x, "y1": f"{low:.1f}", "y2": f"{high:.1f}"})
        mark = _add(group, "use", {"href": f"#mark-{line.colour % len(MARKS)}", "x": x, "y": f"{frame.y(number):.1f}"})
        digits = frame.scale.digits
        spread = f" ± {value(error, digits)}" if error else ""
        _add(mark, "title", {}, f"{plain(line.label)}, stage {stage}: {value(number, digits)}{spread}")


def _last_values(svg: Element, frame: _Frame, series: Sequence[Series]) -> None:
    """The last value of each line, to its right, moved down where two would touch."""
    lowest = -math.inf
    for line in sorted((line for line in series if line.points), key=lambda line: -line.points[max(line.points)]):
        stage = max(line.points)
        lowest = max(frame.y(line.points[stage]) + 4, lowest + 14)
        place = {"class": "last", "x": _percent(frame.x(stage)), "y": f"{lowest:.1f}", "dx": "9"}
        group = _add(svg, "g", {"class": f"run-{line.colour % len(MARKS)}"})
        _add(group, "text", place, value(line.points[stage], _whole(frame.scale)))


def _across(parent: Element, frame: _Frame, number: float, kind: str) -> float:
    y = frame.y(number)
    _add(parent, "line", {"class": kind, "x1": "0", "x2": "100%", "y1": f"{y:.1f}", "y2": f"{y:.1f}"})
    return y


def _whole(scale: Scale) -> int:
    """Decimals where there is little room: none of a percentage."""
    return 0 if scale.unit == "percent" else 2


def _described(line: Series, scale: Scale) -> str:
    if not line.points:
        return f"{plain(line.label)}: not evaluated."
    first, last = min(line.points), max(line.points)
    if first == last:
        return f"{plain(line.label)}: {value(line.points[first], scale.digits)} at stage {first}."
    one, other = (value(line.points[stage], scale.digits) for stage in (first, last))
    ends = f"{one} at stage {first}, {other} at stage {last}"
    return f"{plain(line.label)}: {ends}."


def _percent(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".") + "%"


def _add(parent: Element, tag: str, attributes: dict[str, str], text: str | None = None) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = None if text is None else visible(text)
    return element
