"""Message that mentions a day -> that day in the format of the house's ledger, as in 4-Mar-2024."""

from __future__ import annotations

import calendar
from typing import Final

from inscl.data.demo.drawing import DemoTask, Draw
from inscl.data.demo.shop import ITEMS, draw_remark, sentence

__all__ = ["REWRITE_DATE"]

# Not calendar.month_name: that follows the machine's locale.
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

DAYS: Final = (
    "{day} {month} {year}", "{month} {day}, {year}", "{month} {day}{suffix}, {year}",
    "the {day}{suffix} of {month} {year}", "{day} {short} {year}", "{short}. {day}, {year}",
)  # fmt: skip

FORMS: Final = (
    "Mail: I ordered the {item} on {date}. {Remark}",
    "Mail: On {date} I bought a {item}. {Remark}",
    "Mail: My {item} from {date}: {remark}.",
    "Mail: {Remark} The {item} was ordered on {date}.",
)


def _suffix(day: int) -> str:
    return "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _make(draw: Draw) -> tuple[str, str]:
    year, month = draw.number(2019, 2026), draw.number(1, 12)
    day = draw.number(1, calendar.monthrange(year, month)[1])
    name = MONTHS[month - 1]
    date = draw.pick(DAYS).format(day=day, month=name, year=year, suffix=_suffix(day), short=name[:3])
    remark = draw_remark(draw)
    text = draw.pick(FORMS).format(item=draw.pick(ITEMS), date=date, remark=remark, Remark=sentence(remark))
    return text, f"{day}-{name[:3]}-{year}"


REWRITE_DATE: Final = DemoTask(
    name="rewrite_date",
    instructions=(
        "Write the date in the message the way our ledger does.",
        "Find the day of the order and put it in house format.",
        "Rewrite the date for the archive.",
        "When was it ordered? Use the ledger's date format.",
        "Normalise the date that the customer mentions.",
        "Give me the order date, day first, month in three letters.",
        "Extract the date.",
        "Convert the calendar day below to the accounting style.",
    ),
    make=_make,
    max_new_tokens=12,
)
