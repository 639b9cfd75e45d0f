"""What the fuzzer feeds: rows, tables, documents and configurations, some of them nearly right."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = [
    "COLUMNS", "CONFIG", "JSON", "NASTY", "OVERRIDES", "RAW", "ROWS", "SETTINGS", "SOUND_FILES", "TEXT", "TIDY_ROWS",
    "VALUES", "YAML_TEXT",
]  # fmt: skip

NASTY = (
    "", " ", "\0", "\r", "\n", "\r\n", "\u2028", "\u202e", "\ufeff", "\x1b[2J", "\ud800", "'", '"', '""', ",", "\t",
    "=1+1",
    "../../etc/passwd", "/etc/passwd", "..", "C:\\x", "<script>alert(1)</script>", "{{7*7}}", "[bold]x[/]", "[", "]",
    "{", "}", "NaN", "null", "true", "1e999", "-0", "9" * 5000, "!!python/object:os.system", "&a", "*a", "<<", "---",
    "x" * 5000, "train", "test", "validation", "a, 3 rows; used are", "\U000e0041", "é", "e\u0301", "漢字", "🙂",
)  # fmt: skip
COLUMNS = (
    "instruction", "input", "output", "outputs", "messages", "conversations", "split", "task", "source", "source_task",
    "role", "content", "from", "value", "text", "train", "test", "data",
)  # fmt: skip

TEXT = st.one_of(st.text(max_size=20), st.sampled_from(NASTY), st.text(st.characters(), max_size=3))
_KEY = st.one_of(st.sampled_from(COLUMNS), TEXT)
_LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT)
JSON = st.recursive(
    _LEAF,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_KEY, inner, max_size=4)),
    max_leaves=6,
)

_WORD = st.sampled_from(("one", "two", "three", " two ", "=2", "é"))
_TIDY: dict[str, Any] = {"instruction": st.sampled_from(("Add one", "Say it")), "input": _WORD, "output": _WORD}
_CHAT = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(("system", "user", "assistant", "tool")), "content": _LEAF}),
    max_size=4,
)
_SPLIT = st.sampled_from(("train", "test", "validation", "Test", "dev", "practice", ""))
_NAME = st.one_of(st.sampled_from(("a", "b", "A", "..", "x/y", "é")), TEXT)
_ROW = st.one_of(
    st.fixed_dictionaries(_TIDY),
    st.fixed_dictionaries(_TIDY, optional={"split": _SPLIT, "task": _NAME, "source": TEXT}),
    st.fixed_dictionaries({"messages": st.one_of(_CHAT, JSON)}),
    st.dictionaries(_KEY, JSON, max_size=5),
)

TIDY_ROWS = st.lists(st.fixed_dictionaries(_TIDY), min_size=2, max_size=12)
"""Rows with nothing wrong, many of them equal."""

ROWS = st.one_of(
    st.lists(_ROW, max_size=8),
    st.builds(
        lambda first, rest: (
            [{**row, "split": split} for row, split in zip(first, ("train", "test"), strict=False)] + rest
        ),
        st.lists(st.fixed_dictionaries(_TIDY), min_size=2, max_size=2),
        st.lists(st.fixed_dictionaries(_TIDY, optional={"split": _SPLIT}), max_size=8),
    ),
    st.builds(lambda tidy, wild: tidy + wild, TIDY_ROWS, st.lists(_ROW, max_size=4)),
)
"""Rows of which some are bad, some name splits and tasks, and some are fine."""

SOUND_FILES = (
    b'{"instruction": "Add", "input": "1", "output": "2"}\n{"instruction": "Add", "input": "2", "outputs": ["3"]}\n',
    b'{"train": [{"instruction": "Add", "output": "2"}], "test": [{"messages": [{"role": "user", "content": "x"}]}]}',
    b'[{"instruction": "Add", "output": "2"}, {"instruction": "Add", "output": "3", "input": "x"}]',
    b"instruction,input,output\nAdd,1,2\nAdd,2,3\n",
    b"instruction\tinput\toutput\nAdd\t1\t2\nAdd\t2\t3\n",
    b"stream: {path: nowhere.csv, order: [a]}\nreplay:\n  strategy: inscl\n  budget: {per_task: 3}\nseed: 0x1f\n",
    b"- a.jsonl\n- {name: b, train: c.csv, columns: {output: answer}}\n- &x [1, 2]\n",
    b'[{"tag": "translation", "explanation": "x"}]',
)
"""One of each kind of file."""
_SOUND = b'{"instruction": "Add", "input": "1", "output": "2"}\n{"instruction": "Add", "output": ["3"]}\n'
_TABLE = b"instruction,input,output\nAdd,1,2\nAdd,2,3\n"
RAW = st.one_of(
    st.builds(lambda sound, noise: sound + noise, st.sampled_from((_SOUND, _TABLE)), st.binary(max_size=60)),
    st.binary(max_size=200),
    st.lists(
        st.one_of(
            st.sampled_from(
                (b'{"instruction": "Add", "input": "1", "output": "2"}', b'{"instruction": "Add", "output": ["3"]}',
                 b"[", b"{",
                 b'{"a": 1, "a": 2}', b"\xff", b"\xef\xbb\xbf", b"\0", b"\r", b"instruction,output", b"Add,1",
                 b'"', b'Add,"2\n3"',
                 b"instruction\toutput", b"[" * 3000, b"{}", b"null", b"NaN", b"PAR1",
                 b"- a\n- b: [c", b"!!python/name:os.system")
            ),
            st.binary(max_size=10),
        ),
        max_size=8,
    ).map(b"\n".join),
)  # fmt: skip
"""Bytes of a file: noise, and pieces of every format."""

SETTINGS = (
    "stream", "model", "replay", "training", "evaluation", "output_dir", "seed", "label", "path", "order", "columns",
    "train_per_task", "test_share", "leaks", "skip_bad_rows", "name", "adapter", "kind", "r", "mode", "strategy",
    "budget",
    "per_task", "total", "share", "tokens", "params", "embedder", "tagger", "tag_embedder", "epochs", "learning_rate",
    "hf_args", "metrics", "max_new_tokens", "scope", "base", "experts", "dynamic", "weights", "run", "strategies",
    "seeds", "budgets", "orders", "models", "reference", "set",
)  # fmt: skip
VALUES = (
    "inscl",
    "random",
    "llm",
    "ngrams",
    "lora",
    "merge",
    "drop",
    "rouge_l",
    "curriculum",
    "all",
    "nobody",
)
_SETTING = st.recursive(
    st.one_of(_LEAF, st.sampled_from(VALUES), st.sampled_from((0, 1, 3, 0.2, -1, 1e-3, 2**40))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.sampled_from(SETTINGS), TEXT, st.integers()), inner, max_size=4),
    ),
    max_leaves=8,
)
CONFIG = st.dictionaries(
    st.one_of(st.sampled_from(SETTINGS[:8]), st.sampled_from(SETTINGS), TEXT), _SETTING, max_size=5
)
"""A configuration, of a run or a grid, as a mapping."""

OVERRIDES = st.lists(
    st.one_of(
        TEXT,
        st.builds(
            lambda keys, value: f"{'.'.join(keys)}={value}",
            st.lists(st.one_of(st.sampled_from(SETTINGS), TEXT), max_size=3),
            st.one_of(
                TEXT, st.sampled_from(("{", "[1, 2]", "2024-13-45", "0x" + "f" * 5000, "!!binary x", "[" * 3000))
            ),
        ),
    ),
    max_size=3,
)
"""What stands behind ``--set``."""

_PIECES = (
    "stream:", "replay:", "  path: nowhere.csv", "  strategy: inscl", "- a.jsonl", "- {name: x, path: a.jsonl}",
    "&a", "*a", "&b [*a, *a]",
    "<<: *a", "!!python/object/apply:os.system [ls]", "!!binary aGk=", "!!set {a}", "!!int ''", "0x_",
    "1:2:3.4", "2024-02-30",
    "? [a]", ": b", "---", "...", "%YAML 9.9", "[", "]", "{", "}", "|", ">", "'", '"', "\t", "#", "= ", "~",
    "\u2028", "\ufeff", "\0", "seed: 1", "seed: 0x" + "f" * 5000, "label: 2024-01-01",
    "  budget: {per_task: 1e3}", "[" * 300,
)  # fmt: skip
YAML_TEXT = st.lists(st.one_of(st.sampled_from(_PIECES), st.text(max_size=6)), max_size=10).flatmap(
    lambda parts: st.sampled_from(("\n", " ", "")).map(lambda between: between.join(parts))
)
"""Text that is nearly YAML."""
