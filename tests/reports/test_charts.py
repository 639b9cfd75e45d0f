"""The drawings."""

from __future__ import annotations

from xml.etree import ElementTree

from inscl.contract.scale import Scale
from inscl.reports.charts import Dot, Series, line_chart, strip


def marks(svg: str) -> list[tuple[float, float]]:
    tree = ElementTree.fromstring(svg)
    return [(float(use.get("x", "")[:-1]), float(use.get("y", ""))) for use in tree.iter("use")]


def test_higher_is_higher_and_later_is_further_right() -> None:
    (x1, y1), (x2, y2), (x3, y3) = marks(line_chart([Series("A", 0, {1: 10, 2: 90, 3: 50})], [1, 2, 3], "t"))
    assert x1 < x2 < x3
    assert y2 < y3 < y1


def test_equal_values_lie_at_equal_heights_in_all_lines() -> None:
    drawn = marks(line_chart([Series("A", 0, {1: 40}), Series("B", 1, {1: 40})], [1], "t"))
    assert drawn[0] == drawn[1]


def test_values_over_a_hundred_stay_inside() -> None:
    for number in (230.0, -40.0):
        ((_, y),) = marks(line_chart([Series("A", 0, {1: number})], [1], "t", height=260))
        assert 0 < y < 260


def test_a_gap_is_drawn_open() -> None:
    svg = line_chart([Series("A", 0, {1: 10, 3: 50})], [1, 2, 3], "t")
    assert svg.count('class="line open"') == 1


def test_text_is_escaped_and_described() -> None:
    svg = line_chart([Series("<script>\u202e", 0, {1: 10, 2: 20})], [1, 2], "A <title>")
    tree = ElementTree.fromstring(svg)
    assert "<script>⟨U+202E⟩: 10.0 at stage 1, 20.0 at stage 2." in (tree.findtext("desc") or "")
    assert tree.findtext("title") == "A <title>"
    assert tree.get("role") == "img"
    assert "<script>" not in svg


def test_the_strip_fills_what_was_picked() -> None:
    tree = ElementTree.fromstring(strip([Dot(0, False, "a"), Dot(2, True, "b"), Dot(4, True, "c")], 4, "t"))
    circles = [(circle.get("class"), circle.get("cx"), circle.findtext("title")) for circle in tree.iter("circle")]
    assert circles == [("passed", "1.5%", "a"), ("picked", "50%", "b"), ("picked", "98.5%", "c")]
    assert "2 of 3 instructions picked" in (tree.findtext("desc") or "")


def test_no_information_at_all_is_drawn_at_zero() -> None:
    assert 'cx="1.5%"' in strip([Dot(0, False, "a")], 0, "t")


def test_a_loss_has_an_axis_of_its_own_size() -> None:
    nats = Scale("nats", "lower")
    svg = line_chart([Series("A", 0, {1: 2.4, 2: 0.31})], [1, 2], "t", height=260, scale=nats)
    (_, y1), (_, y2) = marks(svg)
    assert y1 < y2
    assert y2 - y1 > 100
    assert "2.400 at stage 1, 0.310 at stage 2" in svg
    ((_, y),) = marks(line_chart([Series("A", 0, {1: -0.2})], [1], "t", height=260, scale=nats))
    assert 0 < y < 260
