"""Train `nano`. Resumable: each phase goes on from the checkpoint that is there.

    python -m training.train --pool DIR --out DIR --minutes 100 [--ranks 2] [--device cuda]

The schedule is one of time, so that the same command gives the best model of the budget it is given: the side
of the images grows in four stages, because a small image costs a ninth of a large one and teaches nearly as much.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from lightsam_plugins.models.nano import Nano
from training.augment import Batch, Pool
from training.losses import edge_loss, total_loss
from training.simulate import Session, pick_objects

STAGES = ((0.0, 128, 10), (0.28, 192, 8), (0.54, 256, 6), (0.75, 384, 4))  # from share of time: side, images a rank
PROMPTS = 4  # objects an image
RATE, WARMUP, DECAY = 1.6e-3, 150, 0.02


@dataclass
class Run:
    """Settings of one training process."""

    pool: Path
    out: Path
    minutes: float
    ranks: int
    seed: int
    device: str
    scale: float
    start: float


def stage(progress: float) -> tuple[int, int]:
    """(side, images a rank) at a share of the time."""
    return [(side, images) for begin, side, images in STAGES if progress >= begin][-1]


def learning_rate(progress: float, step: int) -> float:
    """Linear warm-up, flat for a third of the time, then a cosine to 1 %."""
    decay = max(0.0, (progress - 0.35) / 0.65)
    return RATE * min(1.0, (step + 1) / WARMUP) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(decay, 1))))


def forward(model: Nano, batch: Batch, generator: torch.Generator, device: str) -> tuple[torch.Tensor, list[float]]:
    """The loss of one batch over one to three rounds of prompts, and the mean IoU of token 0 per round."""
    targets = pick_objects(batch.labels, PROMPTS, generator)
    occupied = (batch.labels > 0).float().repeat_interleave(PROMPTS, 0)
    features = model.encode(batch.images.to(device))
    labels = batch.labels[:, ::2, ::2].to(device)
    loss = 0.3 * edge_loss(features["keys"], labels, batch.complete.to(device))
    session = Session(targets, generator)
    session.start((occupied - targets).clamp(min=0))
    rounds = 1 + int(torch.rand((), generator=generator) < 0.55) + int(torch.rand((), generator=generator) < 0.35)
    reached = []
    for index in range(rounds):
        logits, rated = model.decoder(features, to_device(session.batch(), device))
        step, true = total_loss(logits, rated, targets.to(device))
        loss = loss + step / rounds
        reached.append(float(true[:, 0].mean()))
        if index + 1 < rounds:
            session.correct(logits[:, 0].detach().float().cpu(), keep_mask=0.65)
    return loss, reached


def to_device(prompts: object, device: str) -> object:
    """A prompt batch on another device."""
    from lightsam_plugins.types import PromptBatch

    return PromptBatch(*(getattr(prompts, name).to(device) for name in ("points", "labels", "boxes", "masks")))


def average_gradients(model: torch.nn.Module, ranks: int) -> None:
    """All-reduce the gradients as one flat vector; parameters stay contiguous, as the optimiser needs them."""
    if ranks == 1:
        return
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    flat /= ranks
    offset = 0
    for gradient in gradients:
        gradient.copy_(flat[offset : offset + gradient.numel()].view_as(gradient))
        offset += gradient.numel()


class Average:
    """Exponential moving average of all weights and norm statistics."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, step: int) -> None:
        """Move towards the model; faster at the start."""
        keep = min(0.998, (step + 1) / (step + 20))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - keep)
            else:
                self.state[name].copy_(value)


def train(rank: int, run: Run) -> None:
    """One rank: a thread of its own on the CPU, or the GPU."""
    if run.ranks > 1:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511")
        dist.init_process_group("gloo", rank=rank, world_size=run.ranks)
    if run.device == "cpu":
        torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    model = Nano().to(run.device).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, foreach=True)
    average, step, spent, passes = Average(model), 0, 0.0, 0
    path = run.out / "state.pt"
    if path.exists():
        saved = torch.load(path, map_location=run.device, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        average.state, step, spent, passes = saved["average"], saved["step"], saved["spent"], saved["passes"]
    pool = Pool(run.pool, run.seed + 97 * rank + step)
    generator = torch.Generator().manual_seed(run.seed + 31 * rank + step)
    begun = last = time.monotonic()
    saved_at = begun
    losses: list[float] = []
    ious: list[float] = []
    while True:
        clock = torch.tensor([spent + time.monotonic() - begun])
        if run.ranks > 1:
            dist.broadcast(clock, 0)
        progress = float(clock) / (run.minutes * 60)
        if progress >= 1:
            break
        side, images = stage(progress)
        images = int(images * run.scale)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(progress, step)
        loss, reached = forward(model, pool.batch(images, side), generator, run.device)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(model, run.ranks)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        average.update(model, step)
        step += 1
        passes += images * run.ranks
        losses.append(float(loss.detach()))
        ious.append(reached[0])
        if rank == 0 and step % 50 == 0:
            now = time.monotonic()
            rate = 50 * images * run.ranks / (now - last)
            print(
                f"{float(clock) / 60:6.1f} min  step {step}  passes {passes}  side {side}  "
                f"loss {sum(losses) / len(losses):.3f}  first IoU {sum(ious) / len(ious):.3f}  {rate:.1f} img/s",
                flush=True,
            )
            losses, ious, last = [], [], now
        if rank == 0 and time.monotonic() - saved_at > 120:
            saved_at = time.monotonic()
            save(path, model, optimiser, average, step, spent + saved_at - begun, passes)
    if rank == 0:
        save(path, model, optimiser, average, step, run.minutes * 60, passes)


def save(
    path: Path, model: Nano, optimiser: torch.optim.Optimizer, average: Average, step: int, spent: float, passes: int
) -> None:
    """Write all that is needed to go on, atomically."""
    state = {
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.state,
        "step": step,
        "spent": spent,
        "passes": passes,
    }
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the images a step")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    settings = Run(**vars(options), start=time.monotonic())
    if settings.ranks > 1:
        processes.spawn(train, (settings,), settings.ranks)
    else:
        train(0, settings)
