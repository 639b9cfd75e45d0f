"""The same summary as Markdown, LaTeX, CSV, page, terminal and figure."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench.cells import grid, joint, record
from inscl.bench.numbers.summary import Summary, summarise
from inscl.bench.show.render import budget_figure, print_table, to_csv, to_html, to_latex, to_markdown
from inscl.bench.show.sheets import budget_name

HOSTILE = '<script>alert(1)</script>|`_%&#$~^\\{}[x](y)"\u202e'
SVG = "{http://www.w3.org/2000/svg}"


class Page(HTMLParser):
    """Collects tags, attributes and table cells; complains about a tag that is closed but not open."""

    EMPTY = ("meta", "link", "wbr", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "srcset", "action")]
        if tag not in self.EMPTY:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise(grid())


@pytest.fixture(scope="module")
def hostile() -> Summary:
    budgets = ({"per_task": 2}, {"per_task": 4})
    cells = [record(name, model=HOSTILE, budget=b) for b in budgets for name in ("random", HOSTILE, "=1+1", "[x]")]
    return summarise([*cells, record(model=HOSTILE, seed=1, metric=HOSTILE)])


def terminal(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=240)
    print_table(summary, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def table_line(text: str, name: str, heading: str) -> str:
    """The row of a strategy in the first table under a heading."""
    return next(line for line in text[text.index(heading) :].splitlines() if name in line and "Noise" not in line)


@pytest.mark.parametrize(("name", "shown"), [("- x", r"\- x"), ("1. x", r"1\. x"), ("-x", "-x"), ("a\nb", "a b")])
def test_no_name_starts_a_markdown_list(name: str, shown: str) -> None:
    text = to_markdown(summarise([record(), record(name, None)]))
    assert any(line.startswith(f"{shown}: undefined") for line in text.splitlines())


def test_markdown_has_the_numbers(summary: Summary) -> None:
    text = to_markdown(summary)
    # 76.37 and 60.33: twice the means of 38 + 1.1 x and 30 + x.
    line = table_line(text, "inscl", "### Relative Gain, final")
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["inscl", "76.4", "73.8 to 79.3"]
    assert cells[4:7] == ["3", "+16.0", "15.8 to 16.3"]
    assert cells[-3:] == ["3", "above", "steps"]
    assert "The budget is in examples: 2 examples for each earlier task." in text
    assert "Steps matched with random (within 1 % in every pair): inscl, joint (no budget)." in text
    assert "not matched: inscl +10.0 %" in text
    # Two strategies with two budgets and three seeds; joint training adds its own where it is defined.
    assert [int(count) for count in re.findall(r"apart \((\d+) pairs\)", text)] == [15, 15, 12, 15, 12] * 2


def test_a_difference_inside_the_interval_is_said_to_be() -> None:
    cells = [record("random", last, seed=seed) for seed, last in enumerate((40.0, 42.0, 41.0))]
    cells += [record("inscl", last, seed=seed) for seed, last in enumerate((42.0, 41.0, 41.5))]
    found = summarise(cells)
    for text in (to_markdown(found), to_latex(found), terminal(found)):
        rows = [line for line in text.splitlines() if line.strip("| ").startswith("inscl ")]
        # Five measures with a verdict; overview and cost have none.
        assert sum("no difference shown" in line for line in rows) == 5
        assert not any("above" in line or "below" in line for line in rows)


def test_undefined_is_a_dash_and_never_zero() -> None:
    found = summarise([record(), joint()])
    line = table_line(to_markdown(found), "joint", "### Forgetting rate")
    assert line == "| joint (no budget) | – | – | – | 0 of 1 | – | – | – | – | not compared | steps, tokens |"
    assert "joint (no budget): undefined in 1 of 1 cells (R\\[1\\]\\[1\\]: task a" in to_markdown(found)
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    lost = next(row for row in rows if row["method"] == "joint" and row["measure"] == "forgetting_rate")
    assert (lost["mean"], lost["n"], lost["undefined"], lost["difference_mean"]) == ("", "0", "1", "")


def test_what_relative_gain_leaves_out_is_counted_and_named() -> None:
    zero = {"rouge_l": [0.0, 80.0]}
    text = to_markdown(summarise([record(experts=zero), record("inscl", experts=zero)]))
    said = "Relative Gain leaves out 1 task whose expert scores 0, for every method alike: a."
    # Once above the tables, once below each of the two that it concerns.
    assert text.count(said) == 3
    assert "undefined in 1 of 1 cells (the expert of every earlier task scored 0" in text
    other = record(seed=1)
    (line,) = {line for line in to_markdown(summarise([record(experts=zero), other])).splitlines() if "leaves" in line}
    assert line.endswith("for every method alike: a (in 1 of 2 order and seed pairs).")
    rows = list(csv.DictReader(io.StringIO(to_csv(summarise([record(experts=zero)])))))
    assert [line["left_out"] for line in rows] == ["a", "a", "", "", ""]
    assert said not in to_markdown(summarise([record()]))


def test_what_is_forgotten_stands_by_strategy_and_by_task() -> None:
    def lost(count: int, unrelated: int, **looks_like: int) -> dict[str, Any]:
        return {"compared": 20, "forgotten": count, "unrelated": unrelated, "looks_like": looks_like}

    cells = [record(forgotten={"a": lost(8, 6, b=4, c=1), "b": lost(0, 0)}), joint()]
    cells.append(record("inscl", forgotten={"a": lost(2, 0)}))
    text = to_markdown(summarise(cells))
    assert (
        table_line(text, "random", "### Forgotten answers\n") == "| random | 40 | 8 | 20 % | 2 | 6 | 75 % | b 4, c 1 |"
    )
    assert table_line(text, "joint", "### Forgotten answers\n").startswith("| joint (no budget) | – |")
    by_task = text[text.index("### Forgotten answers by task") :]
    assert [line for line in by_task.splitlines() if line.startswith("|")] == [
        "| task | random | inscl |",
        "| --- | ---: | ---: |",
        "| a | 8 of 20 (75 %) | 2 of 20 (0 %) |",
        "| b | 0 of 20 | – |",
    ]
    assert {"8 of 20 (75 %)", "b 4, c 1"} <= set(Page(to_html(summarise(cells))).cells)
    rows = list(csv.DictReader(io.StringIO(to_csv(summarise(cells)))))
    assert (rows[0]["answers_compared"], rows[0]["forgotten"], rows[0]["forgotten_unrelated"]) == ("40", "8", "6")
    assert "Forgotten answers" not in to_markdown(summarise([record(), joint()]))


def test_each_row_says_in_what_it_is_matched() -> None:
    cells = [record(), record("both", steps=101, tokens=990), record("steps", tokens=1200), record("tokens", steps=50)]
    cells += [record("apart", steps=50, tokens=500), record("alone", seed=7)]
    text = to_markdown(summarise(cells))
    expected = {"random": "–", "both": "steps, tokens", "steps": "steps", "tokens": "tokens", "apart": "neither"}
    for heading in ("### Overview", "### Relative Gain, final"):
        for name, said in {**expected, "alone": "–"}.items():
            assert table_line(text, f"| {name} ", heading).strip("| ").split(" | ")[-1] == said


def test_what_an_answer_costs_stands_beside_the_scores_and_is_a_dash_where_it_was_not_recorded() -> None:
    cells = [record("random"), record("none", seed=0)]
    cells[1]["cost"] |= {"prompt_tokens_per_answer": 81.25, "seconds_per_answer": 0.0345, "state_bytes": 4096.0}
    summary = summarise(cells)
    text = to_markdown(summary)
    assert "| training tokens | prompt tokens per answer | seconds per answer | bytes of state per task |" in text
    known = {"| none ": ["1,000", "81.2", "0.035", "4,096"], "| random ": ["1,000", "–", "–", "–"]}
    for name, costs in known.items():
        assert table_line(text, name, "### Overview").split(" | ")[-5:-1] == costs
    line = next(row for row in csv.DictReader(io.StringIO(to_csv(summary))) if row["method"] == "none")
    assert (line["prompt_tokens_per_answer"], line["seconds_per_answer"]) == ("81.25", "0.0345")


def test_csv_has_a_row_for_each_strategy_budget_and_measure(summary: Summary) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(summary))))
    assert len(rows) == 3 * 2 * 5
    line = next(row for row in rows if (row["method"], row["budget"]) == ("inscl", "20.0"))
    result = summary.tables[1].rows[1].results["relative_gain_final"]
    assert result.estimate.bootstrap is not None
    assert result.difference.estimate.t is not None
    assert float(line["mean"]) == result.estimate.mean
    assert float(line["bootstrap_low"]) == result.estimate.bootstrap.low
    assert float(line["difference_t_high"]) == result.difference.estimate.t.high
    assert (line["verdict"], line["tokens_matched"], line["steps_matched"]) == ("above", "False", "True")


def test_no_cell_of_the_csv_is_a_formula() -> None:
    names = ["=1+1", "+1", "-1", "@x", "\tx", "plain"]
    cells = [record(name, 20.0) for name in names] + [record(last=40.0)]
    rows = list(csv.DictReader(io.StringIO(to_csv(summarise(cells)))))
    assert {row["method"] for row in rows} == {"'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain", "random"}
    # Numbers stay numbers.
    assert {float(row["mean"]) for row in rows if row["measure"] == "backward_transfer"} == {-30.0, -10.0}


def test_one_example_is_one_example() -> None:
    assert budget_name(("per_task", 1)) == "1 example for each earlier task"
    assert budget_name(("per_task", 11)) == "11 examples for each earlier task"
    assert budget_name(("tokens", 1)) == "1 token in all"
    assert budget_name(("share", 1)) == "examples, 1 times as many as the new task has"
    assert budget_name(None) == "no budget"


def test_latex_escapes_everything_special(hostile: Summary) -> None:
    text = to_latex(hostile)
    assert r"\textless{}script\textgreater{}" in text
    assert r"\textbar{}`\_\%\&\#\$\textasciitilde{}\textasciicircum{}\textbackslash{}\{\}{[}x]" in text
    assert "\u202e" not in text
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    left = re.sub(r"\\[%#$&_{}]", "", body).replace("$-$", "")
    assert not set("%#$_~^") & set(left)
    assert not any(line.startswith(("[", "*")) for line in body.splitlines())
    assert body.count(r"\toprule") == body.count(r"\bottomrule") == body.count(r"\end{table}") == 2 * 7


def test_every_row_of_a_latex_table_has_its_columns(hostile: Summary) -> None:
    tables = re.findall(r"\\begin\{tabular\}\{(lr+)\}(.*?)\\end\{tabular\}", to_latex(hostile), re.DOTALL)
    assert len(tables) == 2 * 7
    for head, table in tables:
        rows = [line for line in table.splitlines() if line.endswith(r"\\")]
        assert len(rows) == 1 + 4
        assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {len(head) - 1}


def test_no_name_breaks_a_markdown_table(hostile: Summary) -> None:
    text = to_markdown(hostile)
    assert "<script" not in text
    assert "\u202e" not in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert r"\[x\](y)" in text


def test_the_page_opens_and_holds_no_foreign_markup(hostile: Summary, summary: Summary) -> None:
    for shown in (hostile, summary):
        page = Page(to_html(shown))
        assert page.open == []
        assert "script" not in page.tags
        assert all(link.startswith("#") or link == "data:," for link in page.links)
        assert page.tags.count("table") == 2 * 7
        assert page.tags.count("svg") == 1
    text = to_html(hostile)
    assert "&lt;script&gt;" in text
    assert "prefers-color-scheme: dark" in text
    assert "\u202e" not in text
    assert "url(" not in text


def test_the_page_has_the_numbers(summary: Summary) -> None:
    cells = Page(to_html(summary)).cells
    assert {"76.4", "+16.0", "above", "73.8 to 79.3", "joint (no budget)"} <= set(cells)


def test_the_terminal_follows_no_markup_in_names() -> None:
    text = terminal(summarise([record(), record("[red]x[/red]")]))
    assert "[red]x[/red]" in text
    assert "no difference shown" in text


def test_the_figure_draws_each_strategy_with_whiskers(summary: Summary) -> None:
    tree = ElementTree.fromstring(budget_figure(summary))
    drawn = {group.get("data-method"): group for group in tree.iter(f"{SVG}g") if group.get("data-method")}
    assert set(drawn) == {"random", "inscl", "joint (no budget)"}

    def lines(name: str, kind: str) -> list[dict[str, str]]:
        return [line.attrib for line in drawn[name].iter(f"{SVG}line") if line.get("class") == kind]

    assert len(lines("random", "join")) == 1
    assert len(lines("random", "bootstrap")) == len(lines("inscl", "bootstrap")) == 2
    assert len(lines("joint (no budget)", "join open")) == 1
    marks = [mark.get("transform", "") for mark in drawn["random"].iter(f"{SVG}path")]
    (x1, y1), (x2, y2) = (map(float, re.findall(r"[\d.]+", mark)) for mark in marks)
    # A larger budget lies to the right, a higher gain above, and a whisker around its mark.
    assert x1 < x2
    assert y2 < y1
    first = lines("random", "bootstrap")[0]
    assert float(first["y2"]) < y1 < float(first["y1"])
    assert "random: 60.3 (54.1 to 66.6) at 2" in (tree.findtext(f"{SVG}desc") or "")


def test_the_figure_needs_two_budgets_of_one_kind() -> None:
    assert budget_figure(summarise([record()])) == ""
    assert budget_figure(summarise([record(), record(budget={"tokens": 9})])) == ""
    assert "<figure>" not in to_html(summarise([record()]))
    both = [record(budget={kind: size}) for kind in ("tokens", "per_task") for size in (1, 2)]
    tree = ElementTree.fromstring(budget_figure(summarise(both)))
    assert sum("percent: small" in (text.text or "") for text in tree.iter(f"{SVG}text")) == 2


def test_the_figure_says_where_budgets_rest_on_unlike_numbers_of_cells() -> None:
    cells = [record(budget={"per_task": size}, seed=seed) for size, seed in ((1, 0), (1, 1), (4, 0))]
    assert "1 (n = 2)" in budget_figure(summarise(cells))
    assert "4 (n = 1)" in budget_figure(summarise(cells))
    assert 'class="join open"' in budget_figure(summarise(cells))
    one_more = [*cells, record("inscl", budget={"per_task": 4}), record("inscl", budget={"per_task": 4}, seed=1)]
    assert "4 (n = 1 to 2)" in budget_figure(summarise(one_more))
    even = budget_figure(summarise([*cells, record(budget={"per_task": 4}, seed=1)]))
    assert "n =" not in even
    assert 'class="join open"' not in even


def test_names_in_the_figure_are_escaped(hostile: Summary) -> None:
    svg = budget_figure(hostile)
    assert "<script" not in svg
    assert "\u202e" not in svg
    ElementTree.fromstring(svg)


def test_a_table_of_losses_says_nats_and_which_way_is_good() -> None:
    loss = {"answer_loss": {"unit": "nats", "better": "lower"}}
    cells = [
        record(name, last, seed=seed, budget={"per_task": size}, metric="answer_loss", metrics=loss)
        for name, last in (("random", 1.5), ("inscl", 1.25))
        for seed in range(2)
        for size in (1, 8)
    ]
    for one in cells:
        one["scores"] = {"answer_loss": [[None, None], [1.0, None], [one["scores"]["answer_loss"][2][0], 0.5]]}
        one["experts"] = {"answer_loss": [0.75, 0.5]}
    summary = summarise(cells)
    text = to_markdown(summary)
    assert "Scored by answer loss (nats, lower is better)" in text
    assert "in points or nats. Above and below" in text
    assert "### Average performance (nats; lower is better)" in text
    assert "### Backward transfer (nats; higher is better)" in text
    assert "−0.250" in text
    assert "Relative Gain" not in text
    rows = list(csv.DictReader(io.StringIO(to_csv(summary), newline="")))
    found = {row["measure"]: (row["unit"], row["better"]) for row in rows}
    assert found["forgetting"] == ("nats", "lower")
    assert found["perplexity_gain_final"] == ("percent", "higher")
    assert "Perplexity gain, final, percent" in budget_figure(summary)


def test_general_delta_stands_in_every_format_where_tasks_are_held_out() -> None:
    def held_out(end: float) -> dict[str, Any]:
        return {"tasks": ["g"], "scores": {"rouge_l": [[40.0], [35.0], [end]]}}

    cells = [record(seed=seed, held_out=held_out(30.0 + seed)) for seed in range(2)]
    cells += [record("inscl", seed=seed, held_out=held_out(47.0 + 2 * seed)) for seed in range(2)]
    found = summarise(cells)
    # Means of -10 and -9, and of 7 and 9.
    text = to_markdown(found)
    sheet = text[text.index("### General delta (points; higher is better)") :]
    assert "\n| random | −9.5 | " in sheet
    assert "\n| inscl | 8.0 | " in sheet
    heads = [cell.strip() for cell in table_line(text, "method", "### Overview").strip("|").split("|")]
    cell = table_line(text, "inscl", "### Overview").strip("|").split("|")[heads.index("General delta")]
    assert cell.strip() == "8.0 (−4.7 to 20.7)"  # t with one degree of freedom, 12.706, times the standard error of 1
    rows = [row for row in csv.DictReader(io.StringIO(to_csv(found))) if row["measure"] == "general_delta"]
    assert [(row["method"], row["mean"], row["unit"], row["better"]) for row in rows] == [
        ("random", "-9.5", "points", "higher"),
        ("inscl", "8.0", "points", "higher"),
    ]
    assert "General delta" in Page(to_html(found)).cells
    assert "& General delta &" in to_latex(found)
    for shown in (to_markdown, to_html, to_latex, to_csv):
        assert not re.search("general.delta", shown(summarise([record()])), re.IGNORECASE)
