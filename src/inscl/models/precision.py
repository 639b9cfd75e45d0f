"""Which number format this machine computes fast in."""

from __future__ import annotations

from pathlib import Path

from inscl.errors import ConfigError, Problem, nearest

__all__ = ["PRECISIONS", "bf16_available", "fastest_device", "use_bf16"]

PRECISIONS = ("auto", "bf16", "fp32")


def bf16_available() -> bool:
    """Whether bf16 arithmetic is in hardware: a CUDA device that has it, or a CPU with AMX or AVX-512 BF16."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return False
    flags = next((line for line in cpuinfo.read_text(errors="replace").split("\n") if line.startswith("flags")), "")
    return bool({"amx_bf16", "avx512_bf16"} & set(flags.split()))


def use_bf16(precision: str) -> bool:
    """Whether `precision` (``auto``, ``bf16``, ``fp32``) means bf16 here.

    Raises:
        ConfigError: `precision` is none of these.
    """
    if precision not in PRECISIONS:
        raise ConfigError(
            [Problem("model.precision", f"no precision named {precision!r}{nearest(precision, PRECISIONS)}")]
        )
    return bf16_available() if precision == "auto" else precision == "bf16"


def fastest_device() -> str:
    """``cuda``, ``mps`` or ``cpu``."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
