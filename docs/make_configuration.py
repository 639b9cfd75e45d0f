"""Writes docs/configuration.md from the configuration's own models: python docs/make_configuration.py"""

from __future__ import annotations

import inspect
import types
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from inscl.config import kinds
from inscl.config.settings import RunConfig

HEAD = """# Configuration

`python docs/make_configuration.py` generates this page from `src/inscl/config/settings.py`; a test keeps the two in
step.

A configuration is one YAML file. Unknown keys are errors; all mistakes are reported at once, each with the nearest
valid key. You can change any value on the command line with `--set training.epochs=3`, as often as you need; the value
is read as YAML.

```yaml
stream:     {path: data/superni16, order: superni16_curriculum, train_per_task: 32, test_per_task: 16, leaks: drop}
model:      {name: smollm2-135m, adapter: {kind: lora, r: 16}}
replay:     {strategy: inscl, budget: {per_task: 200}, params: {dynamic: true, weights: real, insinfo: true}}
training:   {epochs: 2, learning_rate: 1.0e-3, batch_size: 8, hf_args: {}}
evaluation: {metrics: [rouge_l, exact_match], max_new_tokens: 64}
output_dir: runs/superni16
seed: 0
```
"""

TAIL = """
## Parameters of the built-in components

`replay.params` holds the strategy's parameters. Write an embedder or tagger with parameters as
`{name: ..., params: {...}}`. Parameters are checked against the component's signature.
"""


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def kind(annotation: Any) -> str:
    if annotation is type(None):
        return "null"
    if isinstance(annotation, types.UnionType) or str(get_origin(annotation)) == "typing.Union":
        return " or ".join(kind(part) for part in get_args(annotation))
    if str(get_origin(annotation)) == "typing.Literal":
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is not None:
        inner = ", ".join(kind(part) for part in get_args(annotation))
        return f"{get_origin(annotation).__name__} of {inner}" if inner else get_origin(annotation).__name__
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}.get(
        getattr(annotation, "__name__", ""), "anything"
    )


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_defaults=True) or "see below"
    return "`null`" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def section(model: type[BaseModel], path: str) -> list[str]:
    lines = [f"\n## `{path}`" if path else "\n## At the top", "", inspect.getdoc(model) or "", ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        shown = kind(field.annotation).replace("|", "\\|")
        lines.append(f"| `{name}` | {shown} | {default(field)} | {field.description} |")
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            if inner.__name__ != "ComponentConfig":
                lines += section(inner, f"{path}.{name}" if path else name)
    return lines


def parameters() -> list[str]:
    lines = []
    hidden = {"embedder", "tagger", "tag_embedder", "name", "progress", "log_dir", "callbacks", "seed", "cache"}
    for group in ("strategies", "embedders", "taggers"):
        for name in kinds.available(group):
            factory = kinds.load(group, name)
            if not (getattr(factory, "__module__", "") or "").startswith("inscl."):
                continue
            found = inspect.signature(factory).parameters.values()
            shown = [
                f"`{p.name}`" + ("" if p.default is inspect.Parameter.empty else f" = `{p.default!r}`")
                for p in found
                if p.name not in hidden and p.kind is not inspect.Parameter.VAR_KEYWORD and p.name != "request"
            ]
            line = (inspect.getdoc(factory) or "").split("\n", 1)[0]
            listed = ", ".join(text if len(text) < 90 else text.split(" = ")[0] for text in shown) or "none"
            lines.append(f"- **{name}** ({group}): {line}\n  Parameters: {listed}.")
    return lines


def text() -> str:
    return "\n".join([HEAD.rstrip(), *section(RunConfig, ""), TAIL.rstrip(), "", *parameters()]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("configuration.md").write_text(text(), encoding="utf-8")
