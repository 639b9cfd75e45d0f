"""One command on several processes, started by ``torchrun`` or ``accelerate launch``.

Rank 0 runs the command: it plans, records and talks to the user. The others follow it: whatever a learner is asked or
taught on rank 0, theirs is asked or taught as well (`inscl.engine.spread`). What they are told is JSON, through a group
of its own on the processor, whose patience is that of a long planning.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inscl.errors import InsclError, UserError

__all__ = ["Channel", "channel", "joined", "others_alive", "rank", "world_size"]

_PATIENCE = datetime.timedelta(days=30)


def world_size() -> int:
    """How many processes the launcher has started; 1 without one."""
    named = all(os.environ.get(name) for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"))
    return int(os.environ.get("WORLD_SIZE") or 1) if named else 1


def rank() -> int:
    """This process's number, from 0."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


class Channel:
    """What rank 0 tells the others, and what they answer.

    Args:
        group: A group of torch.distributed on the processor.
        ranks: How many processes there are.
    """

    def __init__(self, group: Any, ranks: int) -> None:
        self._group, self.ranks = group, ranks

    def tell(self, message: Any) -> None:
        """On rank 0: a JSON value for all others."""
        for other in range(1, self.ranks):
            self._send(message, other)

    def hear(self) -> Any:
        """On the others: what rank 0 tells next; waits for it."""
        return self._receive(0)

    def reply(self, message: Any) -> None:
        """On the others: a JSON value for rank 0."""
        self._send(message, 0)

    def replies(self) -> list[Any]:
        """On rank 0: what each of the others replied, by rank."""
        return [self._receive(other) for other in range(1, self.ranks)]

    def _send(self, message: Any, to: int) -> None:
        import torch
        import torch.distributed as distributed

        data = torch.frombuffer(bytearray(json.dumps(message).encode()), dtype=torch.uint8)
        with others_alive():
            distributed.send(torch.tensor([len(data)]), to, group=self._group)
            distributed.send(data, to, group=self._group)

    def _receive(self, source: int) -> Any:
        import torch
        import torch.distributed as distributed

        length = torch.zeros(1, dtype=torch.int64)
        with others_alive():
            distributed.recv(length, source, group=self._group)
            data = torch.empty(int(length), dtype=torch.uint8)
            distributed.recv(data, source, group=self._group)
        return json.loads(data.numpy().tobytes())


@contextmanager
def others_alive() -> Iterator[None]:
    """Say in a plain message that another process has ended, where the block waits for it.

    Raises:
        InsclError: Its connection broke.
    """
    try:
        yield
    except RuntimeError as error:  # torch has no class of its own for what gloo tells
        if "gloo" not in str(error).lower() and type(error).__name__ != "DistBackendError":
            raise
        raise InsclError(
            "another process of this command has ended before its work was done; what it said stands above. Every "
            "finished stage is kept: give the same command again to go on"
        ) from error


_open: Channel | None = None


def channel() -> Channel | None:
    """The open channel; None where this process is alone."""
    return _open


@contextmanager
def joined() -> Iterator[Channel | None]:
    """Join the processes that the launcher started, while the block runs; None where there is no other.

    Where the block ends well on rank 0, the others are told that nothing more comes. Where it fails, the process has to
    end: then their connections break, and the launcher ends them.

    Raises:
        UserError: The launcher asks for DeepSpeed, or for FSDP's first version.
    """
    global _open
    if world_size() == 1:
        yield None
        return
    if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true" and os.environ.get("FSDP_VERSION") == "1":
        raise UserError("FSDP's first version isn't supported: launch with --fsdp_version 2")
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        raise UserError("DeepSpeed is chosen by training.hf_args.deepspeed: launch without --use_deepspeed")
    # With it, transformers would give all processes but the first empty weights, which they are asked with.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    import torch
    import torch.distributed as distributed
    from accelerate import PartialState

    alone = not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    PartialState(cpu=alone)
    _open = Channel(distributed.new_group(backend="gloo", timeout=_PATIENCE), world_size())
    try:
        try:
            yield _open
        except SystemExit as ended:
            if ended.code:
                raise
        if rank() == 0:
            _open.tell(None)
        distributed.destroy_process_group()
    finally:
        _open = None
