"""Train `nano`. Resumable: each phase goes on from the checkpoint that is there.

    python -m training.train --pool DIR --out DIR --minutes 100 [--ranks 2] [--device cuda]

The schedule is one of time, so that the same command gives the best model of the budget it is given: the side
of the images grows in four stages, because a small image costs a ninth of a large one and teaches nearly as much.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.multiprocessing as processes
from torch.nn import functional

from lightsam_plugins.models.nano import Nano
from lightsam_plugins.models.nano_clean import clean
from training import fast_upsample
from training.augment import Batch, Pool
from training.losses import edge_loss, soft_iou, total_loss
from training.ranks import average_gradients, join, one_core, seconds_since
from training.simulate import begin
from training.warm_start import warm_start

STAGES = (
    (0.0, 128, 10),
    (0.28, 192, 8),
    (0.54, 256, 6),
    (0.75, 384, 4),
)  # from share of time: side, images a rank
WARM_STAGES = ((0.0, 192, 8), (0.30, 256, 6), (0.60, 384, 4))  # the same for a network that goes on
PROMPTS = 4  # objects an image
RATE, WARMUP, DECAY = 1.6e-3, 150, 0.02
WARM_RATE, WARM_WARMUP = 5e-4, 40  # for a network that has been trained before


@dataclass(frozen=True)
class Run:
    """Settings of one training process, as on the command line."""

    pool: Path
    out: Path
    minutes: float
    ranks: int
    seed: int
    device: str
    scale: float
    init: Path | None = None
    photos: float | None = None
    rate: float | None = None


def stage(progress: float, *, warm: bool) -> tuple[int, int]:
    """(side, images a rank) at a share of the time."""
    stages = WARM_STAGES if warm else STAGES
    return [(side, images) for begin, side, images in stages if progress >= begin][-1]


def cosine(progress: float) -> float:
    """From 1 to 0.01 along half a cosine, where it stays."""
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))


def learning_rate(progress: float, step: int, highest: float = RATE, warmup: int = WARMUP) -> float:
    """Linear warm-up, flat for a third of the time, then a cosine to 1 %."""
    decay = max(0.0, (progress - 0.35) / 0.65)
    return highest * min(1.0, (step + 1) / warmup) * cosine(decay)


def forward(model: Nano, batch: Batch, generator: torch.Generator, device: str) -> tuple[torch.Tensor, float]:
    """The loss of one batch over one to three rounds of prompts, and the mean IoU of the first round."""
    session = begin(batch.labels, PROMPTS, generator)
    targets = session.targets.to(device)
    features = model.encode(batch.images.to(device))
    labels = batch.labels[:, ::2, ::2].to(device)
    loss = 0.3 * edge_loss(features["keys"], labels, batch.complete.to(device))
    rounds = 1 + sum(bool(torch.rand((), generator=generator) < share) for share in (0.55, 0.35))
    reached, before = 0.0, torch.zeros(())
    for index in range(rounds):
        prompts = session.batch().to(device)
        logits, rated = model.decoder(features, prompts)
        answers = clean(logits.detach().float(), prompts, batch.images.shape[-1])  # what a user will see
        step, true = total_loss(logits, rated, targets, answers)
        best = torch.arange(len(rated)), rated.detach().argmax(1)
        quality = soft_iou(logits[best], targets)
        loss = loss + step / rounds
        if index == 0:
            reached = float(true[best].mean())
        else:  # one more click must not make a mask worse
            loss = loss + functional.relu(before - quality).mean()
        before = quality.detach()
        if index + 1 < rounds:
            session.correct(answers[best].cpu(), keep_mask=0.65)
    return loss, reached


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


@dataclass
class Report:
    """Losses and IoU since the last line that was printed."""

    every: int = 25
    losses: list[float] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    images: int = 0
    since: float = field(default_factory=time.monotonic)

    def add(self, loss: float, reached: float, images: int, status: str) -> None:
        """Note one step; print a line every `every` steps."""
        self.losses.append(loss)
        self.ious.append(reached)
        self.images += images
        if len(self.losses) < self.every:
            return
        now = time.monotonic()
        loss, reached = (sum(values) / len(values) for values in (self.losses, self.ious))
        rate = self.images / (now - self.since)
        print(f"{status}  loss {loss:.3f}  first IoU {reached:.3f}  {rate:.1f} img/s", flush=True)
        self.losses, self.ious, self.images, self.since = [], [], 0, now


class Trainer:
    """One rank: a thread of its own on the CPU, or the GPU. Goes on from the checkpoint that is there."""

    def __init__(self, rank: int, run: Run) -> None:
        self.rank, self.run = rank, run
        torch.manual_seed(run.seed)
        start = (
            Nano()
            if run.init is None
            else warm_start(run.init, Pool(run.pool, run.seed).batch(64, 256).images)
        )
        # Channels last takes two thirds of the time on a CPU.
        self.model = start.train().to(run.device).to(memory_format=torch.channels_last)
        # Not fused: on a CPU that kernel scrambles updates where weight and gradient differ in memory format.
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=DECAY, foreach=True)
        self.average = Average(self.model)
        self.step, self.passes, self.spent = 0, 0, 0.0
        self.path = run.out / "state.pt"
        if self.path.exists():
            self.load()
        self.pool = Pool(run.pool, run.seed + 97 * rank + self.step, run.photos)
        self.generator = torch.Generator().manual_seed(run.seed + 31 * rank + self.step)

    def load(self) -> None:
        """Take up where the checkpoint stands."""
        saved = torch.load(self.path, map_location=self.run.device, weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.average.state = saved["average"]
        self.step, self.spent, self.passes = saved["step"], saved["spent"], saved["passes"]

    def save(self, spent: float) -> None:
        """Write all that is needed to go on, atomically."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state,
            "step": self.step,
            "spent": spent,
            "passes": self.passes,
        }
        torch.save(state, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)

    def train(self) -> None:
        """Run to the end of the time."""
        saved = time.monotonic()
        begun = saved - self.spent
        report = Report()
        while (seconds := seconds_since(begun, self.run.ranks)) < self.run.minutes * 60:
            progress = seconds / (self.run.minutes * 60)
            side, images = stage(progress, warm=self.run.init is not None)
            images = max(1, int(images * self.run.scale))
            loss, reached = self.update(progress, side, images)
            if self.rank:
                continue
            status = f"{seconds / 60:6.1f} min  step {self.step}  passes {self.passes}  side {side}"
            report.add(loss, reached, images * self.run.ranks, status)
            if time.monotonic() - saved > 120:
                saved = time.monotonic()
                self.save(seconds)
        if self.rank == 0:
            self.save(self.run.minutes * 60)

    def update(self, progress: float, side: int, images: int) -> tuple[float, float]:
        """One step on `images` views of `side` pixels; returns the loss and the IoU of the first round."""
        highest, warmup = (RATE, WARMUP) if self.run.init is None else (WARM_RATE, WARM_WARMUP)
        highest = self.run.rate or highest
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(progress, self.step, highest, warmup)
        loss, reached = forward(self.model, self.pool.batch(images, side), self.generator, self.run.device)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.model.parameters(), self.run.ranks)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.optimiser.step()
        self.average.update(self.model, self.step)
        self.step += 1
        self.passes += images * self.run.ranks
        return float(loss.detach()), reached


def train(rank: int, run: Run) -> None:
    """Set up one rank and train."""
    join(rank, run.ranks, port=29511)
    if run.device == "cpu":
        one_core()
        fast_upsample.install()
    Trainer(rank, run).train()


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=100)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the images a step")
    parser.add_argument("--init", type=Path, help="go on from shipped weights, in a new folder")
    parser.add_argument("--photos", type=float, help="share of photos, in place of the pool's own")
    parser.add_argument("--rate", type=float, help="highest learning rate, in place of the usual one")
    settings = Run(**vars(parser.parse_args()))
    settings.out.mkdir(parents=True, exist_ok=True)
    if settings.ranks > 1:
        processes.spawn(train, (settings,), settings.ranks)  # type: ignore[attr-defined, no-untyped-call]
    else:
        train(0, settings)


if __name__ == "__main__":
    main()
