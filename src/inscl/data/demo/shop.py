"""The shop that the demo's messages are written to: what it sells, who writes, what they praise and complain about.

All five tasks draw from this one vocabulary, so that the same kind of text is routed in one task, graded in another
and redacted in a third. That is what makes them get in each other's way when they are learned one after the other.
"""

from __future__ import annotations

from typing import Final

from inscl.data.demo.drawing import Draw

__all__ = [
    "BROKEN_PRODUCT",
    "CITIES",
    "COMPLAINTS",
    "FAST_DELIVERY",
    "GOOD_PRODUCT",
    "ITEMS",
    "LATE_DELIVERY",
    "draw_complaint",
    "draw_name",
    "draw_remark",
    "sentence",
]

ITEMS: Final = (
    "kettle", "toaster", "lamp", "blender", "heater", "radio", "clock", "scale", "mixer", "grill", "fan", "shaver",
)  # fmt: skip

FIRST_NAMES: Final = (
    "Anna", "Ben", "Carla", "David", "Elena", "Frank", "Grace", "Hugo", "Irene", "Jonas", "Kate", "Liam",
    "Maria", "Nora", "Oscar", "Paula", "Ravi", "Sara", "Tom", "Yuki",
)  # fmt: skip

LAST_NAMES: Final = (
    "Weber", "Rossi", "Kim", "Silva", "Novak", "Martin", "Berg", "Costa", "Singh", "Moore", "Lopez", "Fischer",
    "Clark", "Tanaka", "Dubois", "Young", "Meyer", "Garcia", "Ward", "Larsen",
)  # fmt: skip

CITIES: Final = (
    "Lyon", "Oslo", "Turin", "Leeds", "Porto", "Basel", "Ghent", "Cork", "Graz", "Malmo", "Bonn", "Nice",
    "Seville", "Gdansk", "Utrecht", "Bristol",
)  # fmt: skip

BROKEN_PRODUCT: Final = ("it stopped working", "the switch is broken")

GOOD_PRODUCT: Final = ("it works perfectly", "it looks lovely")

LATE_DELIVERY: Final = ("the parcel came a week late", "the parcel has not arrived yet")

FAST_DELIVERY: Final = ("the parcel came early", "the courier was quick")

WRONG_CHARGE: Final = ("you charged me twice", "the invoice is wrong")

WANTS_REFUND: Final = ("I want my money back", "please refund me")

WEBSITE: Final = ("I cannot log in", "your app keeps crashing")

# What a customer may complain of, by the code of the team that answers.
COMPLAINTS: Final = {
    "billing-2": WRONG_CHARGE,
    "refund-7": WANTS_REFUND,
    "delivery-1": LATE_DELIVERY,
    "website-3": WEBSITE,
}


def draw_name(draw: Draw) -> str:
    """First and last name of someone who doesn't exist."""
    return f"{draw.pick(FIRST_NAMES)} {draw.pick(LAST_NAMES)}"


def draw_complaint(draw: Draw) -> tuple[str, str]:
    """A complaint and the code of the team that answers it."""
    team = draw.pick(tuple(COMPLAINTS))
    return draw.pick(COMPLAINTS[team]), team


def draw_remark(draw: Draw) -> str:
    """Something a customer says in passing, which the task at hand must look past."""
    return draw.pick(draw.pick((*COMPLAINTS.values(), BROKEN_PRODUCT, GOOD_PRODUCT, FAST_DELIVERY)))


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return text[0].upper() + text[1:] + "."
