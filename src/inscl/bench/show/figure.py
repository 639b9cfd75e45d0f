"""Final Relative Gain against the budget, as one SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, tostring

from inscl.bench.numbers.intervals import Estimate
from inscl.bench.numbers.summary import Summary
from inscl.bench.show.panels import APART, FOOT, LEFT, RIGHT, TOP, Panel, panels_of
from inscl.reports.charts import MARKS
from inscl.reports.colours import DARK, LIGHT
from inscl.reports.text import plain, value, visible

__all__ = ["budget_figure"]

_WIDTH, _LEGEND = 760, 592
_AXES = {
    "per_task": "budget: examples for each earlier task",
    "total": "budget: examples in all",
    "share": "budget: examples, as a share of the new task's",
    "tokens": "budget: tokens in all",
}


def budget_figure(summary: Summary) -> str:
    """Final Relative Gain against the budget: one line per method, both 95 % intervals as whiskers.

    The thick whisker is the bootstrap's interval, the thin one with ends the t interval; where that leaves the frame it
    is cut and loses its end. Budgets lie on a logarithmic scale where they span a factor of 8 or more. A line is dotted
    over a budget that is missing and between means of unlike numbers of cells. A method that uses no budget is a
    level with its mark at the right. Models and kinds of budget are never mixed: each has a panel of its own. Light or
    dark as the viewer prefers.

    Returns:
        One ``<svg>`` element, fit for a file or a page; empty where no model has two budgets of one kind to draw.
    """
    panels = panels_of(summary)
    if not panels:
        return ""
    height = sum(panel.height for panel in panels)
    box = f"0 0 {_WIDTH} {height}"
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "class": "budgets", "viewBox": box})
    svg.set("width", "100%")
    svg.set("style", f"max-width:{_WIDTH}px")
    _add(svg, "title", {}, f"{summary.measures[0].title}, against the budget")
    _add(svg, "desc", {}, " ".join(_described(panel) for panel in panels))
    _add(svg, "style", {}, _css())
    top = 0
    for panel in panels:
        _draw(_add(svg, "g", {"transform": f"translate(0 {top})"}), panel)
        top += panel.height
    return tostring(svg, encoding="unicode")


def _draw(group: Element, panel: Panel) -> None:
    _add(
        group,
        "text",
        {"x": "0", "y": "16", "class": "strong"},
        f"{panel.measure.title}, {panel.measure.unit}: {plain(panel.model)}",
    )
    for tick in panel.levels():
        y = f"{panel.y(tick):.1f}"
        _add(group, "line", {"class": "axis", "x1": str(LEFT), "x2": str(APART + 24), "y1": y, "y2": y})
        _add(
            group,
            "text",
            {"x": str(LEFT - 6), "y": y, "dy": "4", "text-anchor": "end"},
            value(tick, 0 if panel.measure.digits == 1 else 2),
        )
    foot = str(panel.height - FOOT + 18)
    for size, said in panel.ticks():
        _add(group, "text", {"x": f"{panel.x(size):.1f}", "y": foot, "text-anchor": "middle"}, said)
    middle = {"x": str((LEFT + RIGHT) // 2), "y": str(panel.height - FOOT + 36), "text-anchor": "middle"}
    _add(group, "text", middle, _AXES.get(panel.kind, f"budget: {plain(panel.kind)}"))
    shown = [label for label in panel.labels if any(estimate.mean is not None for _, estimate in panel.line(label))]
    for number, label in enumerate(shown):
        # Each method a little aside, so that whiskers at the same budget don't hide one another.
        _method(group, panel, label, (number - (len(shown) - 1) / 2) * min(7, 44 / len(shown)))
        at = TOP + 6 + 18 * number
        row = _add(group, "g", {"class": f"method c{panel.labels.index(label) % len(MARKS)}"})
        _add(row, "path", {"d": _mark(panel, label), "transform": f"translate({_LEGEND} {at})"})
        _add(row, "text", {"x": str(_LEGEND + 12), "y": str(at + 4)}, plain(label, 24))


def _method(group: Element, panel: Panel, label: str, aside: float) -> None:
    kind = panel.labels.index(label) % len(MARKS)
    drawn = _add(group, "g", {"class": f"method c{kind}", "data-method": label})
    points = [
        (panel.sizes.index(size), panel.x(size) + aside, estimate) for size, estimate in panel.line(label) if size >= 0
    ]
    level = [estimate for size, estimate in panel.line(label) if size < 0]
    known = [(place, x, gain, gain.mean) for place, x, gain in points if gain.mean is not None]
    for (before, x1, one, first), (after, x2, other, second) in pairwise(known):
        ends = {"x1": f"{x1:.1f}", "x2": f"{x2:.1f}", "y1": f"{panel.y(first):.1f}", "y2": f"{panel.y(second):.1f}"}
        alike = after == before + 1 and one.n == other.n
        _add(drawn, "line", {"class": "join" if alike else "join open", **ends})
    if level and level[0].mean is not None:
        y = f"{panel.y(level[0].mean):.1f}"
        _add(drawn, "line", {"class": "join open", "x1": str(LEFT), "x2": str(APART), "y1": y, "y2": y})
        known.append((0, APART + aside / 2, level[0], level[0].mean))
    for _, x, gain, mean in known:
        _whiskers(drawn, panel, x, gain)
        mark = _add(drawn, "path", {"d": MARKS[kind], "transform": f"translate({x:.1f} {panel.y(mean):.1f})"})
        _add(mark, "title", {}, f"{plain(label)}: {_said(gain, panel.measure.digits)}")


def _whiskers(drawn: Element, panel: Panel, x: float, gain: Estimate) -> None:
    for name, interval in (("t", gain.t), ("bootstrap", gain.bootstrap)):
        if interval is None:
            continue
        low, high = (f"{panel.y(end):.1f}" for end in (interval.low, interval.high))
        _add(drawn, "line", {"class": name, "x1": f"{x:.1f}", "x2": f"{x:.1f}", "y1": low, "y2": high})
        for end, y in ((interval.low, low), (interval.high, high)):
            if name == "t" and panel.low <= end <= panel.high:
                _add(drawn, "line", {"class": "t", "x1": f"{x - 3:.1f}", "x2": f"{x + 3:.1f}", "y1": y, "y2": y})


def _mark(panel: Panel, label: str) -> str:
    return MARKS[panel.labels.index(label) % len(MARKS)]


def _described(panel: Panel) -> str:
    lines = []
    for label in panel.labels:
        found = panel.line(label)
        said = ", ".join(
            _said(gain, panel.measure.digits) + ("" if size < 0 else f" at {size:,.10g}") for size, gain in found
        )
        lines.append(f"{plain(label)}: {said or 'no cells'}.")
    return f"{plain(panel.model)}, {_AXES.get(panel.kind, plain(panel.kind))}. {' '.join(lines)}"


def _said(gain: Estimate, digits: int) -> str:
    if gain.mean is None:
        return "undefined"
    mean = value(gain.mean, digits)
    return mean if gain.t is None else f"{mean} ({value(gain.t.low, digits)} to {value(gain.t.high, digits)})"


def _css() -> str:
    def theme(text: str, rule: str, colours: Sequence[str]) -> str:
        methods = "".join(f".budgets .c{n}{{color:{colour}}}" for n, colour in enumerate(colours))
        return f".budgets text{{fill:{text}}}.budgets .axis{{stroke:{rule}}}{methods}"

    return (
        ".budgets{font:12px system-ui,sans-serif}.budgets .strong{font-weight:600}.budgets .method text{fill:"
        "currentColor}.budgets path{fill:currentColor}.budgets .method line{stroke:currentColor;stroke-width:1}"
        ".budgets .method .join{stroke-width:2}.budgets .method .open{stroke-dasharray:2 5}"
        ".budgets .method .bootstrap{stroke-width:3;opacity:.55}"
        f"{theme('#585e67', '#e2e1dc', LIGHT)}"
        f"@media screen and (prefers-color-scheme:dark){{{theme('#a5aab3', '#31353d', DARK)}}}"
        ".budgets .method text{fill:currentColor}"
    )


def _add(parent: Element, tag: str, attributes: dict[str, str], text: str | None = None) -> Element:
    element = SubElement(parent, tag, {name: visible(given) for name, given in attributes.items()})
    element.text = None if text is None else visible(text)
    return element
