"""YAML as configurations and lists of tasks hold it: plain values, bounded, nothing twice."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from typing import Any

import yaml

__all__ = ["LARGEST_TEXT", "YamlProblem", "dump_yaml", "parse_yaml"]

LARGEST_TEXT = 2_000_000
"""Characters of a YAML text; what is longer belongs in a data file."""
LARGEST_EXPANSION = 4_000_000  # characters and values, when every alias is written out
DEEPEST = 100  # mappings and lists within each other
_LONGEST_NUMBER = 64  # bits
_SCIENTIFIC = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
_MERGE = "tag:yaml.org,2002:merge"


class YamlProblem(ValueError):
    """A text that isn't such YAML.

    Attributes:
        line: 1-based line, where it is known.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse_yaml(text: str) -> Any:
    """Read one YAML document of mappings, lists, texts, numbers, booleans and nulls.

    ``1e-3`` is a number, as everywhere but in YAML 1.1, and a date is text. Tags that make other objects, keys that
    stand twice, aliases that contain themselves, and few bytes that would become many are refused.

    Raises:
        YamlProblem: The text is no such document; the message says why.
    """
    if len(text) > LARGEST_TEXT:
        raise YamlProblem(f"it has {len(text):,} characters; at most {LARGEST_TEXT:,} are read")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        raise YamlProblem(_shown(reason), mark.line + 1 if mark else None) from error
    except RecursionError as error:
        raise YamlProblem("lists or mappings are nested too deeply") from error
    except YamlProblem:
        raise
    # What the library's own constructors raise at text that isn't what its tag says, as in `!!int ""` or `0x_`.
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError) as error:
        raise YamlProblem(f"a value can't be read as the kind that it seems to be: {_shown(str(error))}") from error


def dump_yaml(value: Any, one_line: bool = False) -> str:
    """Plain values as YAML that `parse_yaml` reads as the same: a text such as ``1e3`` is put in quotes.

    Args:
        value: What to write.
        one_line: On one line, as in ``{a: 1, b: 2}``, without an end of line.
    """
    width = LARGEST_TEXT if one_line else None
    text = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=one_line, width=width
    )
    return text.rstrip("\n") if one_line else text


def _measure(root: yaml.Node) -> None:
    """Refuse what aliases would blow up before anything is built from it.

    Every node is measured once, with all that it stands for, so the effort grows with the text and not with what the
    text expands to.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    todo = [(root, False)]
    while todo:
        node, seen = todo.pop()
        if seen:
            open_nodes.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in _children(node))
            if sizes[id(node)] > LARGEST_EXPANSION:
                raise YamlProblem("its aliases repeat too much; write out what is meant", node.start_mark.line + 1)
        elif id(node) in open_nodes:
            raise YamlProblem("an alias stands inside of what it repeats", node.start_mark.line + 1)
        elif id(node) not in sizes:
            if isinstance(node, yaml.ScalarNode):
                sizes[id(node)] = 1 + len(node.value)
                continue
            open_nodes.add(id(node))
            todo.append((node, True))
            todo.extend((child, False) for child in _children(node))


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


class _Loader(yaml.SafeLoader):
    """YAML's safe loader with fewer kinds of values."""

    depth = 0

    # Dates stay text, since a task may be called 2024-01-31, and so does a lone "=".
    yaml_implicit_resolvers = {  # noqa: RUF012 - the library's own way
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":value"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {  # noqa: RUF012
        f"tag:yaml.org,2002:{kind}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
        for kind in ("null", "bool", "int", "float", "str", "seq", "map")
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        # Here, since the library reads only as far as it has to: thousands of brackets cost it quadratic time.
        if self.depth >= DEEPEST:
            raise YamlProblem("lists or mappings are nested too deeply", self.line + 1)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """YAML's safe dumper, which knows what `_Loader` takes for a number."""


def _mapping(loader: _Loader, node: yaml.Node) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, "a mapping was expected", node.start_mark)
    seen: set[Hashable] = set()
    for key, _ in node.value:
        value = None if key.tag == _MERGE else loader.construct_object(key, deep=True)
        if isinstance(value, str) and value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {_shown(value)!r} stands twice", key.start_mark
            )
        if isinstance(value, str):
            seen.add(value)
    return loader.construct_mapping(node, deep=True)


def _whole_number(loader: _Loader, node: yaml.Node) -> int:
    value: int = loader.construct_yaml_int(node)  # type: ignore[arg-type]
    # Python itself refuses to write out whole numbers of thousands of digits.
    if value.bit_length() > _LONGEST_NUMBER:
        raise yaml.constructor.ConstructorError(
            None, None, f"a whole number of more than {_LONGEST_NUMBER} bits", node.start_mark
        )
    return value


def _finite_number(loader: _Loader, node: yaml.Node) -> float:
    value: float = loader.construct_yaml_float(node)  # type: ignore[arg-type]
    if not math.isfinite(value):
        raise yaml.constructor.ConstructorError(None, None, "a number that is not finite", node.start_mark)
    return value


def _unknown(loader: _Loader, node: yaml.Node) -> Any:
    tag = _shown(node.tag.replace("tag:yaml.org,2002:", "!!"))
    raise yaml.constructor.ConstructorError(
        None, None, f"the tag {tag!r} is not allowed: only plain values are read, no objects", node.start_mark
    )


def _shown(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:99]}…"


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _finite_number)
_Loader.add_constructor(None, _unknown)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+.0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+.0123456789"))
