"""Train the rating of `nano` alone, on a network that stands still, and write the weights with the new rating.

    python -m training.rate --pool DIR [DIR ...] --weights nano.safetensors --out new.safetensors --minutes 10

While the masks still change, so do their IoUs, and the rating runs after them. Nothing but the rating is changed
here: all masks stay what they are, only the choice among them gets better.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
import torch.multiprocessing as processes
from safetensors.torch import load_file, save_file

from lightsam_plugins.models.nano import Nano
from lightsam_plugins.models.nano_clean import clean
from training.augment import Pool
from training.losses import iou, rating_loss
from training.ranks import average_gradients, join, one_core, seconds_since
from training.simulate import begin

SIDE, IMAGES, PROMPTS = 384, 3, 6
RATE = 1e-3


def frozen(weights: Path) -> Nano:
    """The shipped network, of which only the rating learns."""
    network = Nano().fold().eval()
    network.load_state_dict(load_file(weights))
    network.requires_grad_(False)
    network.decoder.rating.requires_grad_(True)
    return network


def batch_loss(network: Nano, pool: Pool, generator: torch.Generator) -> tuple[torch.Tensor, float, float]:
    """The loss of the ratings over one or two rounds of prompts; IoU reached and IoU possible in the first."""
    batch = pool.batch(IMAGES, SIDE)
    session = begin(batch.labels, PROMPTS, generator)
    targets = session.targets
    present = targets.amax((1, 2)) > 0
    features = network.encode(batch.images)
    losses, reached, possible = [], 0.0, 0.0
    for last in (False, True):
        prompts = session.batch()
        logits, rated = network.decoder(features, prompts)
        answers = clean(logits.detach(), prompts, SIDE)
        true = iou(answers, targets)
        losses.append(rating_loss(rated, true)[present].mean())
        best = rated.detach().argmax(1)
        if not last:
            reached = float(true.gather(1, best[:, None])[present].mean())
            possible = float(true.amax(1)[present].mean())
            if float(torch.rand((), generator=generator)) < 0.6:
                break
            session.correct(answers[torch.arange(len(best)), best], keep_mask=0.65)
    return torch.stack(losses).mean(), reached, possible


def train(rank: int, options: argparse.Namespace) -> None:
    """One process on one core; gradients are averaged over all."""
    join(rank, options.ranks, port=29512)
    one_core()
    torch.manual_seed(0)
    network = frozen(options.weights)
    rating = network.decoder.rating
    pools = [Pool(folder, 1000 * rank + index) for index, folder in enumerate(options.pool)]
    generator = torch.Generator().manual_seed(77 + rank)
    optimiser = torch.optim.AdamW(rating.parameters(), lr=RATE, weight_decay=0.01)
    begun, step, sums = time.monotonic(), 0, torch.zeros(3)
    while (progress := seconds_since(begun, options.ranks) / (60 * options.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * progress))
        loss, reached, possible = batch_loss(network, pools[step % len(pools)], generator)
        optimiser.zero_grad()
        loss.backward()
        average_gradients(rating.parameters(), options.ranks)
        torch.nn.utils.clip_grad_norm_(rating.parameters(), 1.0)
        optimiser.step()
        step += 1
        sums += torch.tensor([float(loss.detach()), reached, possible])
        if step % 100 == 0 and rank == 0:
            loss_mean, got, best = (sums / 100).tolist()
            print(
                f"{progress:.0%} step {step} loss {loss_mean:.4f} chosen {got:.3f} of {best:.3f}", flush=True
            )
            sums.zero_()
    if rank == 0:
        tensors = load_file(options.weights)
        for name, value in rating.state_dict().items():
            tensors[f"decoder.rating.{name}"] = value.half().contiguous()
        save_file(tensors, options.out, {"format": "pt"})


def main() -> None:
    """Read the command line, train, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=Path, nargs="+", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--ranks", type=int, default=2)
    options = parser.parse_args()
    processes.spawn(train, (options,), options.ranks)  # type: ignore[attr-defined, no-untyped-call]


if __name__ == "__main__":
    main()
