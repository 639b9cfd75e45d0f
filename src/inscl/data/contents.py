"""When two examples are the same.

They are when instruction, input and the *set* of references are equal, white space around them left aside. The set,
because an order of references carries no meaning: Super-NaturalInstructions has the same SCAN example in two source
tasks with its two references swapped. Where they came from plays no part, so copies in two source tasks are found.

Equal input and references alone are not enough: asking two things about one text is what tasks do, and short answers
such as "yes" make hundreds of such pairs. Nor are equal instruction and input: another reference is other teaching,
and a task whose answer is free (write a question) has many.

Two answers in conversations are the same only where everything said before is: the same question after another system
turn is another question. So are other pictures, which their bytes tell apart, whatever the files are called.
"""

from __future__ import annotations

import json

from inscl.contract import Example

__all__ = ["content_of"]


def content_of(example: Example) -> str:
    """One text, equal for two examples exactly when they are the same."""
    references = sorted({output.strip() for output in example.outputs})
    before = [f"{turn.role}: {turn.content.strip()}" for turn in example.turns]
    beside = [json.dumps([before, [image.digest for image in example.images]])] if before or example.images else []
    return "\0".join((example.instruction.strip(), example.input.strip(), *references, *beside))
