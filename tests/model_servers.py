"""Real model servers on loopback: `transformers serve`, llama.cpp's own server, and a small one that echoes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_LLAMA = """
import sys, time, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_ctx = sys.argv[1], int(sys.argv[2]), 2048
params.n_parallel, params.warmup = 2, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(path) for path in sys.argv[3:]]
server = xllamacpp.Server(params)
time.sleep(600)
"""


@contextmanager
def transformers_server(model: str | None, folder: Path) -> Iterator[str]:
    """`transformers serve` on a free port: of one model, or of whichever model a request names.

    Args:
        model: A model's folder; None serves the one that each request names.
        folder: For its log and its cache.

    Yields:
        Its address.
    """
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    command = [str(Path(sys.executable).with_name("transformers")), "serve", *([model] if model else [])]
    surroundings = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    surroundings["OMP_NUM_THREADS"] = "1"  # several would wait for each other where other tests run beside
    port = free_port()
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with _running(command, port, folder / "serve.log", surroundings):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def llama_server(model: Path, folder: Path, adapters: tuple[Path, ...] = ()) -> Iterator[str]:
    """llama.cpp's server, as the package xllamacpp carries it, on a free port.

    Args:
        model: A GGUF file.
        folder: For its log.
        adapters: GGUF files of adapters, in the order of their ids.

    Yields:
        Its address.
    """
    pytest.importorskip("xllamacpp")
    port = free_port()
    command = [sys.executable, "-c", _LLAMA, str(model), str(port), *map(str, adapters)]
    with _running(command, port, folder / "llama.log", {**os.environ}):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def echo_server(model: Path, asked: list[tuple[str, str]] | None = None) -> Iterator[str]:
    """Speaks vLLM's completions and its loading of adapters around a model of transformers; knows nothing of inscl.

    vLLM itself needs a GPU or a build of its own, so this stands for the form of its answers, not for its arithmetic.

    Args:
        model: The base model, which is served by the name ``base`` and by any other that isn't an adapter's.
        asked: Gets the path and the model or adapter of each request.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, networks = AutoTokenizer.from_pretrained(model), {"base": AutoModelForCausalLM.from_pretrained(model)}

    class Echo(BaseHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            assert self.path == "/v1/models"
            self._reply(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in networks]})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = request.get("lora_name", request.get("model"))
            if asked is not None:
                asked.append((self.path, str(name)))
            if self.path == "/v1/completions":
                answer = _echoed if request.get("echo") else _written
                self._reply(200, answer(networks.get(name, networks["base"]), tokenizer, request))
            elif name is None:
                self._reply(400, {"error": {"message": "lora_name: Field required"}})
            elif self.path == "/v1/load_lora_adapter":
                whole = AutoModelForCausalLM.from_pretrained(model)
                networks[name] = PeftModel.from_pretrained(whole, request["lora_path"]).eval()
                self._reply(200, f"Success: LoRA adapter '{name}' added successfully.")
            else:
                assert self.path == "/v1/unload_lora_adapter"
                del networks[name]
                self._reply(200, f"Success: LoRA adapter '{name}' removed successfully.")

        def _reply(self, status: int, content: Any) -> None:
            body = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        http.server_close()


def _echoed(network: Any, tokenizer: Any, request: dict[str, Any]) -> dict[str, Any]:
    import torch

    prompt = request["prompt"]
    with torch.inference_mode():
        known = network(torch.tensor([prompt])).logits[0].log_softmax(-1)
    prompt = [*prompt, int(known[-1].argmax())]  # max_tokens: 1
    chosen = [None, *(float(known[at, token]) for at, token in enumerate(prompt[1:]))]
    tops: list[Any] = [None]
    for at, token in enumerate(prompt[1:]):
        best = int(known[at].argmax())
        tops.append({f"token_id:{best}": float(known[at, best]), f"token_id:{token}": float(known[at, token])})
    shown = {"token_logprobs": chosen, "top_logprobs": tops, "tokens": [f"token_id:{one}" for one in prompt]}
    return {"choices": [{"index": 0, "text": "", "logprobs": shown}]}


def _written(network: Any, tokenizer: Any, request: dict[str, Any]) -> dict[str, Any]:
    import torch

    given = torch.tensor([request["prompt"]])
    settings = {"max_new_tokens": request["max_tokens"], "do_sample": False, "pad_token_id": 2}
    with torch.inference_mode():
        said = network.generate(input_ids=given, attention_mask=torch.ones_like(given), **settings)[0, given.shape[1] :]
    usage = {"prompt_tokens": given.shape[1], "completion_tokens": len(said)}
    text = tokenizer.decode(said, skip_special_tokens=True)
    return {"choices": [{"index": 0, "text": text}], "usage": usage}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int, log: Path, surroundings: dict[str, str]) -> Iterator[None]:
    with log.open("w+b") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=surroundings)
        try:
            end = time.monotonic() + 180
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, log.read_text(errors="replace")
                    assert time.monotonic() < end, "the server didn't start"
                    time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait(30)


def write_gguf(model: Path, file: Path) -> None:
    """The fixture `tiny_model` as a GGUF file: a Llama with a byte-level tokenizer."""
    import gguf
    from safetensors.numpy import load_file

    settings = json.loads((model / "config.json").read_text())
    heads, width = settings["num_attention_heads"], settings["hidden_size"]
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_block_count(settings["num_hidden_layers"])
    writer.add_context_length(settings["max_position_embeddings"])
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(settings["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(settings["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(settings["rms_norm_eps"])
    writer.add_rope_dimension_count(width // heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(settings["vocab_size"])
    known = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(sorted(known, key=lambda token: known[token]))
    writer.add_token_types([3] * 3 + [1] * (len(known) - 3))
    writer.add_token_merges(["Ā ā"])  # llama.cpp wants one; no text of a test holds it
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template((model / "chat_template.jinja").read_text())
    rotated = {"q_proj": heads, "k_proj": settings["num_key_value_heads"]}
    for name, weight in load_file(model / "model.safetensors").items():
        kind = name.removesuffix(".weight").rpartition(".")[2]
        writer.add_tensor(_name(name), _interleaved(weight, rotated[kind]) if kind in rotated else weight)
    _close(writer)


def write_gguf_adapter(layers: int, down: Any, up: Any, file: Path) -> None:
    """A LoRA of rank r on the values of every layer: `down` of shape (r, width), `up` of shape (values, r), scale 1."""
    import gguf

    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(len(down)))
    for layer in range(layers):
        writer.add_tensor(f"blk.{layer}.attn_v.weight.lora_a", np.ascontiguousarray(down, np.float32))
        writer.add_tensor(f"blk.{layer}.attn_v.weight.lora_b", np.ascontiguousarray(up, np.float32))
    _close(writer)


_NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


def _name(name: str) -> str:
    """A weight of transformers' Llama as llama.cpp calls it."""
    parts = name.split(".")
    own = f"{_NAMES[parts[-2]]}.weight"
    return f"blk.{parts[2]}.{own}" if parts[1] == "layers" else own


def _interleaved(weight: Any, heads: int) -> Any:
    """llama.cpp turns pairs of neighbours, transformers pairs from the two halves of a head."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))


def _close(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
