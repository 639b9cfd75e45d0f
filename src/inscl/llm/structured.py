"""Answers as JSON of a given form: parses them, and tells a model what doesn't fit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

__all__ = ["json_parser", "json_schema"]

T = TypeVar("T")

_STARTS_TRIED = 50  # places in an answer where JSON may begin
_PROBLEMS_SHOWN = 3


def json_parser(form: type[T]) -> Callable[[str], T]:
    """A `parse` for `inscl.llm.questions.Questions`: the first JSON value of an answer, as `form`.

    The value may stand in a code fence or amid prose. Where several stand there, only the first counts: a value further
    in would be a part of it, or an afterthought.

    Args:
        form: A pydantic model, a dataclass, or any type that pydantic knows, as ``list[str]``.

    Returns:
        A function from an answer to a value; it raises ValueError with what is wrong, for the model to read.
    """
    adapter: TypeAdapter[T] = TypeAdapter(form)

    def parse(answer: str) -> T:
        value = _first_value(answer)
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise ValueError(_told(error)) from None

    return parse


def json_schema(form: Any) -> str:
    """The JSON schema of a form on one line, to be shown in a prompt or sent as ``response_format``."""
    return json.dumps(TypeAdapter(form).json_schema(), ensure_ascii=False)


def _first_value(answer: str) -> Any:
    decoder = json.JSONDecoder()
    starts = [match.start() for match in re.finditer(r"[\[{]", answer)][:_STARTS_TRIED]
    for start in starts:
        try:
            return decoder.raw_decode(answer, start)[0]
        except (ValueError, RecursionError):
            # Behind a bracket that opens an array or object and never closes there are only parts of a whole.
            if re.match(r"[\[{]\s*[\"\[{]", answer[start:]):
                break
    raise ValueError("it is not valid JSON")


def _told(error: ValidationError) -> str:
    """The first few problems, each with its place; the values themselves are not repeated."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'the value'}: {one['msg']}" for one in problems[:_PROBLEMS_SHOWN]]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")
