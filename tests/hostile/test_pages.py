"""Hostile streams, runs and grids in a real Chromium: nothing runs, nothing asks, nothing leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cells import record
from hostile.conftest import SCRIPT, TASKS, HostileRun
from inscl.bench.numbers.summary import summarise
from inscl.bench.show.render import to_html
from inscl.reports import write_report
from reports.conftest import seal_run

pytestmark = pytest.mark.browser
# Whatever could run a script, load something, or send something.
ACTIVE = (
    "script, img, iframe, object, embed, form, input, button, video, audio, link[rel=stylesheet], base, "
    "meta[http-equiv]:not([http-equiv=Content-Security-Policy]), a[href^='javascript'], a[href^='http'], "
    "svg foreignObject, svg script, svg animate, svg image"
)
HANDLERS = (
    "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on')).length"
)


def silent(browser: Any, page_file: Path) -> str:
    """Open a page, all of it, and look for anything that it did; returns its text."""
    page = browser.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("popup", lambda _: complaints.append("popup"))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.mouse.move(200, 200)
    page.wait_for_timeout(300)
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [page_file.as_uri()]
    assert page.locator(ACTIVE).count() == 0
    assert page.evaluate(HANDLERS) == 0
    text: str = page.locator("body").text_content()
    page.close()
    return text


def test_the_check_itself_sees_a_script(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "evil.html").write_text(f"<body>{SCRIPT.encode('utf-8', 'replace').decode()}")
    with pytest.raises(AssertionError):
        silent(browser, tmp_path / "evil.html")


def test_the_report_of_a_hostile_stream(browser: Any, hostile_run: HostileRun) -> None:
    text = silent(browser, hostile_run.run / "report.html")
    for name in TASKS:
        assert name in text
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_the_report_of_a_run_folder_that_was_sent(browser: Any, write_run: Callable[..., Path]) -> None:
    hostile = SCRIPT.replace("/", "|").encode("utf-8", "replace").decode()
    folder = write_run(
        "run", tasks=tuple(f"{n}{hostile}"[:60] for n in range(3)), label=SCRIPT, strategy=hostile, loss=30
    )
    manifest = json.loads((folder / "manifest.json").read_bytes().decode("utf-8", "surrogatepass"))
    manifest["stream"]["name"] = manifest["model"]["name"] = manifest["platform"] = SCRIPT
    (folder / "manifest.json").write_text(json.dumps(manifest))
    seal_run(folder)
    assert "alert(1)" in silent(browser, write_report([folder]))


def test_the_page_of_a_hostile_grid(browser: Any, tmp_path: Path) -> None:
    hostile = SCRIPT.encode("utf-8", "replace").decode()
    budgets = ({"per_task": 2}, {"per_task": 4})
    cells = [record(name, model=hostile, budget=b) for b in budgets for name in ("random", hostile)]
    page = tmp_path / "index.html"
    page.write_text(to_html(summarise([*cells, record(model=hostile, seed=1, metric=hostile)])), encoding="utf-8")
    assert "alert(1)" in silent(browser, page)
