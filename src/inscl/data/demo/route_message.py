"""Customer message -> code of the team that answers it."""

from __future__ import annotations

from typing import Final

from inscl.data.demo.drawing import DemoTask, Draw
from inscl.data.demo.shop import ITEMS, draw_complaint, draw_name, sentence

__all__ = ["ROUTE_MESSAGE"]

FORMS: Final = (
    "Ticket {order}: {name} here. About my {item}: {remark}.",
    "Ticket {order}, a {item}: {remark}. {name}",
    "Ticket {order}: {Remark} It is the {item}. Regards, {name}",
    "Ticket {order}: Hi, this is {name}. {Remark} I mean my {item}.",
)


def _make(draw: Draw) -> tuple[str, str]:
    remark, team = draw_complaint(draw)
    name, item, order = draw_name(draw), draw.pick(ITEMS), draw.number(1000, 9999)
    text = draw.pick(FORMS).format(name=name, item=item, order=order, remark=remark, Remark=sentence(remark))
    return text, team


ROUTE_MESSAGE: Final = DemoTask(
    name="route_message",
    instructions=(
        "Which team should answer this message? Give the team code.",
        "Route the customer message to a team.",
        "Name the code of the team in charge of this complaint.",
        "Forward this to the right desk: billing, refund, delivery or website.",
        "Read the mail and assign it to a support queue.",
        "Triage this ticket.",
        "Who handles this? Answer with the desk's code only.",
    ),
    make=_make,
    max_new_tokens=7,
)
