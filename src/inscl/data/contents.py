"""When two examples are the same.

They are when instruction, input and the *set* of references are equal, white space around them left aside. The set,
because an order of references carries no meaning: Super-NaturalInstructions has the same SCAN example in two source
tasks with its two references swapped. Where they came from plays no part, so copies in two source tasks are found.

Equal input and references alone are not enough: asking two things about one text is what tasks do, and short answers
such as "yes" make hundreds of such pairs. Nor are equal instruction and input: another reference is other teaching,
and a task whose answer is free (write a question) has many.
"""

from __future__ import annotations

from inscl.contract import Example

__all__ = ["content_of"]


def content_of(example: Example) -> str:
    """One text, equal for two examples exactly when they are the same."""
    references = sorted({output.strip() for output in example.outputs})
    return "\0".join((example.instruction.strip(), example.input.strip(), *references))
