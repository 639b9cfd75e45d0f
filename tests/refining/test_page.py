"""The page shows rows side by side, says why others went, and takes nothing in the data for markup."""

from __future__ import annotations

import json
import re
from pathlib import Path

from inscl.contract import Example
from inscl.refining.page import write_page

EVIL = "<script>alert(1)</script>\u202eevil"


def test_rows_stand_side_by_side_escaped_and_capped(tmp_path: Path) -> None:
    old, bad = Example("old & plain", EVIL, ("x" * 5000,)), Example("bad", "", ("y",))
    facts = {
        "parent": old.id,
        "refiner": "better",
        "parameters": "now",
        "how": EVIL,
        "ifd": 0.5,
        "fell_back": ["response: none"],
    }
    train = {"split": "train"}
    new = {**Example("new", "", ("z",)).to_json(), "provenance": facts, **train}
    totals = {"kept": 0, "replaced": 150, "added": 0, "rejected": 1}
    spent = {"requests": 3, "input_tokens": 1200, "output_tokens": 5, "price": 0.25}
    asked = {"refiner": "better", "version": "1", "fingerprint": "now"}
    changed = {"from": "Keep it <short>", "to": "Keep it long"}
    beside = {
        **Example("beside", "", ("w",)).to_json(),
        **train,
        "provenance": {**facts, "parent": [bad.id], "changed": changed},
    }
    # The same refiner, an earlier time: with other parameters, or from what isn't here any more.
    former = {**Example("former", "", ("v",)).to_json(), **train, "provenance": {**facts, "parameters": "then"}}
    other = {**Example("other", "", ("u",)).to_json(), **train, "provenance": {**facts, "parent": "elsewhere"}}
    by = {"refiner": "better", "parameters": "now"}
    files = {
        "rejected.jsonl": [
            {
                "id": old.id,
                "reason": "replaced by what the refiner made of it",
                **by,
                "row": old.to_json(),
                "task": "job",
            },
            {"id": bad.id, "reason": f"leak {EVIL}", **by, "row": bad.to_json(), "task": "job"},
            {
                "id": bad.id,
                "reason": "an earlier leak",
                **by,
                "parameters": "then",
                "row": bad.to_json(),
                "task": "job",
            },
            {"reason": "no JSON"},
        ],
        "unchanged.jsonl": [{"task": "job", "id": bad.id, "reason": "no answer", "refiner": "better"}] * 2
        + [{"task": "job", "id": bad.id, "reason": "half an answer", "refiner": "better", "made": 1}],
        "tasks/job.jsonl": [beside, former, other, *[new] * 149, {**bad.to_json(), "split": "train"}],
    }
    (tmp_path / "tasks").mkdir()
    for name, rows in files.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = {"asked": asked, "totals": totals, "tasks": {"job": totals}, "spent": spent}
    (tmp_path / "refine.json").write_text(json.dumps(summary))
    page = write_page(tmp_path).read_text()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; evil" in page
    assert page.count("old &amp; plain") == 99
    assert "Before and after (150, of which 100 are shown)" in page
    assert "x" * 1001 not in page
    assert "ifd: 0.5" in page
    assert "response: none" in page
    # Before: what was replaced and left out now, and what this refinement found; after: all train rows.
    cells = [re.sub("<.*?>", " ", row).split() for row in re.findall("<tr><td>(?:before|after).*?</tr>", page)]
    assert [row[:3] for row in cells] == [["before", "5", "4"], ["after", "153", "5"]]
    assert cells[1][-1] == "148"
    assert "Left out (1)" in page
    assert "an earlier leak" not in page
    assert "nothing could be made of them (2)" in page
    assert "2 × no answer" in page
    assert "Less was added than was to be (1)" in page
    assert "kept beside it" in page
    assert "Keep it &lt;short&gt; → Keep it long" in page
    assert "former" not in page
    assert "other" not in page.replace("others", "")
    assert "3 requests, 1,200 tokens in, 5 out, for 0.25" in page
