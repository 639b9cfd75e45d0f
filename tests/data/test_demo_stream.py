"""The demo's stream: the same for ever, distinct, uneven, and every answer right by an independent reading."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from inscl.contract import Example, Task
from inscl.data.demo import demo_stream
from inscl.errors import DataError

STREAM = demo_stream()
TASKS = {task.name: task for task in STREAM}


def every(name: str) -> tuple[Example, ...]:
    return TASKS[name].train + TASKS[name].test


def digest(tasks: tuple[Task, ...]) -> str:
    content = [[task.name, [[e.to_json() for e in split] for split in (task.train, task.test)]] for task in tasks]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def test_content_is_pinned() -> None:
    assert digest(STREAM.tasks) == "1973dd22fba155ca3d9f317bfd3a13e84428da60073fa93bbbac02a6c6edfc1f"


def test_another_seed_is_another_stream_and_global_state_is_left_alone() -> None:
    random.seed(1)
    before = random.getstate()
    other = demo_stream(seed=1)
    assert random.getstate() == before
    assert {e.input for task in other for e in task.train}.isdisjoint({e.input for e in every("route_message")})
    assert digest(other.tasks) != digest(STREAM.tasks)
    assert digest(demo_stream(seed=1).tasks) == digest(other.tasks)


def test_test_part_does_not_depend_on_how_much_is_trained() -> None:
    smaller = demo_stream(train=50)
    assert [task.test for task in smaller] == [task.test for task in STREAM]
    assert all(len(task.train) == 50 for task in smaller)


@pytest.mark.parametrize("task", STREAM, ids=STREAM.names)
def test_sizes_and_uneven_instructions(task: Task) -> None:
    assert len(task.train) == 240
    assert len(task.test) == 60
    counts = sorted(task.instruction_counts.values(), reverse=True)
    assert len(counts) >= 6
    assert len(set(counts)) == len(counts)
    assert counts[0] >= 5 * counts[-1]
    zipf = [240 / rank / sum(1 / k for k in range(1, len(counts) + 1)) for rank in range(1, len(counts) + 1)]
    assert all(abs(count - share) < 1 for count, share in zip(counts, zipf, strict=True))
    assert {e.instruction for e in task.test} == set(task.instructions)


def test_every_input_and_instruction_is_distinct_everywhere() -> None:
    inputs = Counter(e.input for name in TASKS for e in every(name))
    assert len(inputs) == 5 * 300
    instructions = [said for task in STREAM for said in task.instructions]
    assert len(instructions) == len(set(instructions))
    assert all(e.task == task.name for task in STREAM for e in task.train + task.test)


def test_more_than_there_is_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inscl.data.demo.grade_review.FORMS", ("{first}",))
    with pytest.raises(DataError, match="grade_review can't make 300 distinct"):
        demo_stream()


def test_messages_are_routed_by_what_they_say() -> None:
    signs = {
        "billing-2": r"charged|invoice|bill|billed",
        "refund-7": r"money back|refund|return it|pay me back",
        "delivery-1": r"parcel came|arrived|courier|wait for|took a month",
        "website-3": r"log in|app|password|website|page|basket",
    }
    for example in every("route_message"):
        remark = example.input.lower()
        hits = [team for team, sign in signs.items() if re.search(rf"\b(?:{sign})\b", remark)]
        assert hits == [example.output], example
    assert set(Counter(e.output for e in TASKS["route_message"].test)) == set(signs)


def test_reviews_are_graded_by_product_and_delivery() -> None:
    bad_product = r"working|broken|faulty|burnt|missing|too hot"
    bad_delivery = r"week late|not arrived|never|still wait|month|slow"
    names = {
        (False, False): "gold-fast",
        (False, True): "gold-slow",
        (True, False): "tin-fast",
        (True, True): "tin-slow",
    }
    for example in every("grade_review"):
        faults = bool(re.search(bad_product, example.input)), bool(re.search(bad_delivery, example.input.lower()))
        assert names[faults] == example.output, example
    assert min(Counter(e.output for e in TASKS["grade_review"].train).values()) > 30


def test_dates_are_read_as_the_standard_library_reads_them() -> None:
    for example in every("rewrite_date"):
        found = re.search(
            r"[A-Z][a-z]{2,8}\.? \d{1,2}(?:st|nd|rd|th)?, \d{4}|\d{1,2}(?:st|nd|rd|th)? .*?\d{4}", example.input
        )
        assert found, example
        day = next(int(d) for d in re.findall(r"\d+", found[0]) if len(d) <= 2)
        month = re.search(r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)", found[0])
        assert month, example
        date = datetime.strptime(f"{day} {month[1]} {found[0][-4:]}", "%d %b %Y")
        assert date.strftime(f"{date.day}-%b-%Y") == example.output
        ordinal = re.search(r"(\d+)(st|nd|rd|th)", found[0])
        if ordinal:
            assert ordinal[2] == {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}.get(day, "th")


def test_orders_keep_item_quantity_and_city() -> None:
    words = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    pattern = r"\b(\d+|" + "|".join(words) + r") (?:more )?(\w+)s\b"
    for example in every("order_to_json"):
        record = json.loads(example.output)
        found = re.search(pattern, example.input)
        assert found, example
        quantity = words.index(found[1]) + 2 if found[1] in words else int(found[1])
        assert list(record.items()) == [("item", found[2]), ("qty", quantity), ("city", record["city"])]
        assert re.search(rf"(?:to|in|For) (?:our shop in )?{record['city']}\b", example.input)


def test_redaction_leaves_everything_but_the_personal_data() -> None:
    for example in every("redact_personal_data"):
        text = re.sub(r"\w+@post\.example", "[mail]", re.sub(r"\b555-01\d\d\b", "[phone]", example.input))
        kept = re.escape(example.output).replace(r"\[name\]", "(?P<name>[A-Z][a-z]+ [A-Z][a-z]+)")
        found = re.fullmatch(kept, text)
        assert found, example
        assert "@" not in example.output
        assert not re.search(r"\d", example.output)
        assert not any(part in example.output for part in found["name"].split())


@pytest.mark.real_model
def test_every_answer_fits_in_what_may_be_generated(smollm2: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    for task in STREAM:
        assert task.max_new_tokens is not None
        longest = max(
            len(tokenizer.encode(e.output).ids) + 1 for e in task.train + task.test
        )  # and the end of sequence
        assert longest <= task.max_new_tokens <= longest + 3, (task.name, longest)
