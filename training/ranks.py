"""Several training processes, a CPU core each: they meet, agree on the time, and average their gradients."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

import cv2
import torch
import torch.distributed as dist


def join(rank: int, ranks: int, port: int) -> None:
    """Make this process one of `ranks` that meet at a port of this machine."""
    if ranks > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        dist.init_process_group("gloo", rank=rank, world_size=ranks)


def one_core() -> None:
    """No threads inside a process: two threads wait for each other, two processes hardly do."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def seconds_since(begun: float, ranks: int) -> float:
    """Seconds since `begun` on the monotonic clock of rank 0, on which all agree."""
    seconds = torch.tensor([time.monotonic() - begun])
    if ranks > 1:
        dist.broadcast(seconds, 0)
    return float(seconds)


def average_gradients(parameters: Iterable[torch.Tensor], ranks: int) -> None:
    """All-reduce the gradients as one flat vector; each keeps its memory format, as the optimiser needs it."""
    if ranks == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    for gradient, part in zip(gradients, (flat / ranks).split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
