"""Decoupled distillation (MobileSAM's recipe): a small encoder learns the features of a large one, image by image.

    python -m training.distill --teacher nano --student nano-quarter --images DIR [DIR ...] --out RUN
    python -m training.distill --teacher sam-vit-h --student mobilesam --images SA1B --out RUN --device cuda

The decoder is the teacher's and stands still: no prompt and no mask is needed. With --tune-steps it is then tuned on
the student's features, towards the teacher's masks of random clicks and boxes. The teacher sees each image once: its
features are kept in OUT/features. Resumable: what is there is not done again.

https://arxiv.org/abs/2306.14289
"""

from __future__ import annotations

import argparse
import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

import lightsam_plugins as ls
from lightsam_plugins.errors import InputError
from lightsam_plugins.images import load_image
from lightsam_plugins.prompts import make_prompts
from lightsam_plugins.replacing import replacing
from lightsam_plugins.segmenter import Segmenter
from lightsam_plugins.transforms import frame_for, preprocess
from lightsam_plugins.types import Embedding, Frame
from training import fast_upsample
from training.agreement import agreement_with, draw
from training.ranks import one_core
from training.students import (
    Student,
    build_student,
    image_side,
    live_norms,
    prompt_side,
    same_features,
    take_prompt_side,
)
from training.train import cosine

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
RATE, TUNE_RATE, WARMUP = 2e-3, 2e-4, 30
IMAGES = 8  # a step
WATCHED = 24  # images kept out of training, for the curve
CLICKS = 4  # prompts an image while the decoder is tuned


@dataclass(frozen=True)
class Options:
    """As on the command line."""

    images: list[Path]
    out: Path
    teacher: str = "nano"
    student: str = "nano-quarter"
    weights: Path | None = None
    limit: int = 1500
    steps: int = 600
    tune_steps: int = 0
    every: int = 50
    watched: int = WATCHED
    batch: int = IMAGES
    device: str = "cpu"


def list_images(folders: list[Path], limit: int, least: int) -> list[Path]:
    """At most `limit` images of all folders, spread evenly over them, in an order that does not follow their names.

    Raises:
        InputError: There are too few.
    """
    files = sorted({f for folder in folders for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES})
    if len(files) < least:
        raise InputError("too few images", expected=f"at least {least}", got=str(len(files)))
    return [files[i] for i in np.random.default_rng(0).permutation(len(files))[:limit]]


class Features:
    """The teacher's embeddings of the images, on disk in half precision; those that are there are not made again."""

    def __init__(self, teacher: Segmenter, folder: Path) -> None:
        self.teacher, self.folder = teacher, folder
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, number: int, path: Path) -> Embedding:
        """The teacher's embedding of an image, in float32 on the CPU."""
        file = self.folder / f"{number:06d}.safetensors"
        if not file.is_file():
            one = self.teacher.embed(path).to("cpu")
            half = {name: value.half() for name, value in one.features.items()}
            with replacing(file) as part:
                Embedding(half, one.frame, one.model).save(part)
        saved = Embedding.load(file)
        return Embedding({n: v.float() for n, v in saved.features.items()}, saved.frame, saved.model)


@dataclass
class State:
    """Where a distillation stands."""

    step: int = 0
    tuned: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


class Distillation:
    """Teacher, student, images and what has been done so far."""

    def __init__(self, options: Options, teacher: Segmenter, student: Student) -> None:
        self.options, self.teacher, self.student = options, teacher, student
        files = list_images(options.images, options.limit, 2 * options.watched)
        self.watched, self.files = files[: options.watched], files[options.watched :]
        self.features = Features(teacher, options.out / "features")
        self.network: Any = live_norms(student.network).to(options.device)
        self.state = State()
        self.path = options.out / "state.pt"
        self.optimiser = torch.optim.AdamW(image_side(self.network), lr=RATE, weight_decay=0.02)
        if self.path.is_file():
            self._load()
        else:
            take_prompt_side(self.network, teacher._runner.module)

    def _load(self) -> None:
        saved = torch.load(self.path, map_location=self.options.device, weights_only=True)
        self.network.load_state_dict(saved["network"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.state = State(**saved["state"])

    def save(self) -> None:
        """Write all that is needed to go on."""
        content = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "state": vars(self.state),
        }
        with replacing(self.path) as part:
            torch.save(content, part)
        with replacing(self.options.out / "curve.json") as part:
            part.write_text(json.dumps(self.state.curve))

    def batch(self, numbers: list[int], files: list[Path]) -> tuple[torch.Tensor, list[Embedding]]:
        """The student's input and the teacher's features of images by their numbers."""
        spec, inputs, wanted = self.student.spec, [], []
        for number, path in zip(numbers, files, strict=True):
            image = load_image(path)
            frame = frame_for(image, side=spec.prompt_side, fit=spec.fit)
            inputs.append(preprocess(image, frame, side=spec.encoder_side, mean=spec.mean, std=spec.std))
            wanted.append(self.features.of(number, path))
        return torch.stack(inputs).to(self.options.device), wanted

    def drawn(self, number: int, count: int) -> tuple[torch.Tensor, list[Embedding]]:
        """The images of a step, which each step knows by its number: those of an endless shuffled walk."""
        places = range(number * count, (number + 1) * count)
        orders = {
            place // len(self.files): np.random.default_rng(place // len(self.files)).permutation(
                len(self.files)
            )
            for place in places
        }
        rows = [int(orders[place // len(self.files)][place % len(self.files)]) for place in places]
        return self.batch([len(self.watched) + row for row in rows], [self.files[row] for row in rows])

    def distill(self) -> None:
        """Train the encoder; note a point of the curve, and save, now and then."""
        state, steps = self.state, self.options.steps
        while state.step < steps:
            if state.step % self.options.every == 0:
                self.look()
            for group in self.optimiser.param_groups:
                group["lr"] = RATE * min(1.0, (state.step + 1) / WARMUP) * cosine(state.step / steps)
            images, wanted = self.drawn(state.step, self.options.batch)
            loss = unexplained(self.network.train().encode(images), together(wanted, images.device))
            learn(loss, self.optimiser)
            state.step += 1
        self.look()

    @torch.no_grad()
    def look(self) -> None:
        """Measure on the images kept out, note it, save."""
        losses = []
        for start in range(0, len(self.watched), self.options.batch):
            rows = list(range(start, min(start + self.options.batch, len(self.watched))))
            images, wanted = self.batch(rows, [self.watched[row] for row in rows])
            losses += [
                float(unexplained(self.network.eval().encode(images), together(wanted, images.device)))
            ]
        point = {
            "images": float(self.state.step * self.options.batch),
            "unexplained": float(np.mean(losses)),
        }
        if point not in self.state.curve:  # a run that was stopped here looks once more
            self.state.curve.append(point)
        print("  ".join(f"{name} {value:.3f}" for name, value in point.items()), flush=True)
        self.save()

    def tune(self) -> None:
        """Train the prompt side on the student's features, towards the teacher's answers; the encoder stands still."""
        state, steps = self.state, self.options.tune_steps
        optimiser = torch.optim.AdamW(prompt_side(self.network), lr=TUNE_RATE)
        self.network.eval()
        while state.tuned < steps:
            for group in optimiser.param_groups:
                group["lr"] = TUNE_RATE * cosine(state.tuned / steps)
            images, wanted = self.drawn(state.tuned, 1)
            with torch.no_grad():
                features = self.network.encode(images)
            learn(self.tuning_loss(features, wanted[0], np.random.default_rng(state.tuned)), optimiser)
            state.tuned += 1
            if state.tuned % self.options.every == 0:
                self.save()
        self.save()

    def agreement(self, when: str) -> dict[str, float]:
        """How alike teacher and student are on the images kept out, each number named by what and `when`."""
        student = Segmenter(copy.deepcopy(self.network), self.student.spec, self.options.device)
        alike = agreement_with(self.teacher, student, self.watched)
        return {f"{what}, {when}": value for what, value in alike.items()}

    def tuning_loss(
        self, features: dict[str, torch.Tensor], taught: Embedding, rng: np.random.Generator
    ) -> torch.Tensor:
        """How far the student's masks of random clicks and of boxes are from the teacher's."""
        height, width = taught.size
        points = rng.uniform((0, 0), (width, height), (CLICKS, 1, 2))
        prompts: dict[str, Any] = {"points": points}
        answers = self.teacher.segment(taught, **prompts)
        if rng.random() < 0.5 and (answers.areas > 0).all():
            prompts = {"boxes": answers.boxes}
            answers = self.teacher.segment(taught, **prompts)
        spec = self.student.spec
        frame = Frame(height, width, spec.prompt_side, spec.fit)
        asked = make_prompts(spec, frame, **prompts)
        logits, scores = self.network.decode(features, asked, multimask=False)[:2]
        target = torch.as_tensor(answers.logits, device=logits.device).clamp(-16, 16).sigmoid()
        scored = torch.as_tensor(answers.scores, device=logits.device)
        return functional.binary_cross_entropy_with_logits(
            logits[:, 0].float(), target
        ) + functional.mse_loss(scores[:, 0].float(), scored)


def together(embeddings: list[Embedding], device: torch.device) -> dict[str, torch.Tensor]:
    """The features of several images as one batch."""
    return {
        name: torch.cat([one.features[name] for one in embeddings]).to(device)
        for name in embeddings[0].features
    }


def unexplained(student: dict[str, torch.Tensor], teacher: dict[str, torch.Tensor]) -> torch.Tensor:
    """The mean squared error of each feature map over its variance: 1 knows nothing but means, 0 is the teacher."""
    same_features(student, teacher)
    return torch.stack(
        [functional.mse_loss(student[name], wanted) / wanted.var() for name, wanted in teacher.items()]
    ).mean()


def learn(loss: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
    """One step of the optimiser."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    for group in optimiser.param_groups:
        torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
    optimiser.step()


def run(options: Options) -> dict[str, float]:
    """Distil, tune; write student.safetensors, curve.json, curve.png and agreement.json, which is returned."""
    if options.device == "cpu":
        one_core()
        fast_upsample.install()
    teacher = ls.load(options.teacher, options.device, options.weights)
    done = Distillation(options, teacher, build_student(options.student))
    done.distill()
    draw(done.state.curve, options.out / "curve.png", f"{options.student} taught by {options.teacher}")
    found = done.agreement("before tuning")
    if options.tune_steps:
        done.tune()
        found |= done.agreement("after tuning")
    tensors = {name: value.contiguous() for name, value in done.network.state_dict().items()}
    save_file(tensors, options.out / "student.safetensors")
    (options.out / "agreement.json").write_text(json.dumps(found, indent=2))
    for what, value in found.items():
        print(f"{what}: {value:.3f}")
    return found


def main() -> None:
    """Read the command line and distil."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--teacher", default=Options.teacher)
    parser.add_argument("--student", default=Options.student, help="nano-quarter, or a model of the family")
    parser.add_argument("--weights", type=Path, help="of the teacher, in place of its download")
    parser.add_argument("--limit", type=int, default=Options.limit, help="images, evenly of all folders")
    parser.add_argument("--watched", type=int, default=Options.watched, help="images kept out, for the curve")
    parser.add_argument("--steps", type=int, default=Options.steps)
    parser.add_argument("--tune-steps", type=int, default=Options.tune_steps)
    parser.add_argument("--every", type=int, default=Options.every, help="steps between points of the curve")
    parser.add_argument("--batch", type=int, default=Options.batch, help="images a step")
    parser.add_argument("--device", default=Options.device)
    run(Options(**vars(parser.parse_args())))


if __name__ == "__main__":
    main()
