"""MobileSAM on a 1080p frame: `ultralytics.SAM` and a loop of one call a box beside ours, same seeded weights.

    python -m benchmarks.ultralytics_sam [--rounds 5] [--boxes 1 10 100] [--threads 1] [--ellipses]

From the frame as an array to boolean masks. `ultralytics.SAM` is called with all boxes at once. The loop is the one
supervision's users know: set_image once, then one decoder call a box that returns three full-size masks, of which the
one rated best is kept; it is run on Ultralytics' predictor, which has that interface. Ours is
`lightsam_ultralytics.LightSAM`, with full-size arrays, and `lightsam_supervision.LightSAM.refine`, with compact masks.

Weights from a seed make masks that no trained network makes: noise over the whole frame, of 140000 runs each, so that
crops are as large as the frame. With ``--ellipses`` both decoders run as ever, and their answers are then replaced by
ellipses inside the boxes, as objects would be.

Interleaved; medians of seconds on the clock and of CPU time; the peak of the resident memory of a process of its own,
above what it is before the first call. The encodings of earlier calls are not used.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import supervision as sv
import torch
from PIL import Image

import lightsam_plugins as ls
from benchmarks.memory import megabytes

Work: TypeAlias = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.float32]], int]
METHODS = ("ultralytics.SAM", "loop", "LightSAM", "refine")


def checkpoint(path: Path) -> None:
    """MobileSAM with weights from a seed, in the form that both read."""
    from lightsam_plugins.registry import build_network, model_card

    torch.manual_seed(0)
    tensors = build_network(model_card("mobilesam")).state_dict()
    tensors["mask_decoder.iou_prediction_head.layers.2.bias"] += 1  # Ultralytics drops masks rated below 0
    # A classifier that the official file has as well, and nobody uses.
    shapes = {
        "norm_head.weight": (320,),
        "norm_head.bias": (320,),
        "head.weight": (1000, 320),
        "head.bias": (1000,),
    }
    unused = {f"image_encoder.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    torch.save(tensors | unused, path)


def frame_and_boxes(count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """(1080, 1920, 3) BGR and (N, 4) boxes of 60 to 360 pixels."""
    photo = Image.open(Path(ls.__file__).parent / "assets" / "coffee.jpg").convert("RGB")
    frame = np.ascontiguousarray(np.asarray(photo.resize((1920, 1080)))[..., ::-1])
    random = np.random.default_rng(0)
    size = random.uniform(60, 360, (count, 2))
    low = random.uniform(0, np.array([1920, 1080]) - size)
    return frame, np.concatenate([low, low + size], 1).astype(np.float32)


def ellipses(boxes: npt.NDArray[np.float32]) -> torch.Tensor:
    """(N, 1, 256, 256) logits of ellipses that fill boxes of a frame of 1920 pixels."""
    x0, y0, x1, y1 = torch.from_numpy(boxes * 256 / 1920).T[..., None, None]
    y, x = torch.meshgrid(torch.arange(256) + 0.5, torch.arange(256) + 0.5, indexing="ij")
    radius = torch.hypot((2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0))
    return (20 * (1 - radius)).clamp(-10, 10)[:, None]


def answer_by_ellipses(owner: Any, name: str, boxes: npt.NDArray[np.float32]) -> None:
    """Let a decoder work, and return ellipses in the place of its logits, box by box in their order."""
    decode, masks, done = getattr(owner, name), ellipses(boxes), 0

    def replaced(*args: Any, **kwargs: Any) -> Any:
        nonlocal done
        logits, *others = decode(*args, **kwargs)
        rows = torch.arange(done, done + len(logits)) % len(masks)
        done += len(logits)
        return (masks[rows].expand(logits.shape).clone(), *others)

    setattr(owner, name, replaced)


def method(name: str, path: Path, answers: npt.NDArray[np.float32] | None = None) -> Work:
    """A function that segments boxes of a frame and returns the number of masks; `answers` are boxes of ellipses."""
    if name in ("LightSAM", "refine"):
        model = ls.load("mobilesam", weights=path, device="cpu")
        if answers is not None:
            answer_by_ellipses(model._runner.module, "decode", answers)
        return refine(model) if name == "refine" else predict(model)
    from ultralytics import SAM
    from ultralytics.models.sam import Predictor

    if name == "ultralytics.SAM":
        official = SAM(str(path))
        if answers is not None:
            answer_by_ellipses(official.model.mask_decoder, "forward", answers)
        settings = {"conf": 0.0, "device": "cpu", "verbose": False}
        return lambda frame, boxes: len(official(frame, bboxes=boxes, **settings)[0].masks)
    settings = {"conf": 0.0, "task": "segment", "mode": "predict", "imgsz": 1024, "model": str(path)}
    predictor = Predictor(overrides={**settings, "device": "cpu", "save": False, "verbose": False})
    predictor.setup_model(verbose=False)
    if answers is not None:
        answer_by_ellipses(predictor.model.mask_decoder, "forward", answers)
    return loop(predictor)


def refine(model: ls.Segmenter) -> Work:
    """Detections of supervision get compact masks."""
    from lightsam_supervision import LightSAM

    sam = LightSAM(model, bgr=True)
    return lambda frame, boxes: len(sam.refine(frame, sv.Detections(xyxy=boxes)).mask or ())


def predict(model: ls.Segmenter) -> Work:
    """Ultralytics' engine around our model; a new object each time, so that nothing encoded is found again."""
    from lightsam_ultralytics import LightSAM

    def work(frame: Any, boxes: Any) -> int:
        return len(LightSAM(model)(frame, bboxes=boxes, verbose=False)[0].masks)  # type: ignore[index]

    return work


def loop(predictor: Any) -> Work:
    """One decoder call a box, of whose three masks the one rated best is kept."""

    def work(frame: Any, boxes: Any) -> int:
        predictor.set_image(frame)
        masks = []
        for box in boxes:
            (result,) = predictor(bboxes=box, multimask_output=True)
            masks.append(result.masks.data[int(result.boxes.conf.argmax())].numpy())
        predictor.reset_image()
        return len(np.array(masks))

    return work


def peak(name: str, path: Path, count: int) -> float:
    """MB that a call adds to a process, at its peak."""
    command = [sys.executable, "-m", "benchmarks.ultralytics_sam", "--memory", name, str(path), str(count)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def _print_peak(name: str, path: str, count: str) -> None:
    work = method(name, Path(path))
    frame, boxes = frame_and_boxes(int(count))
    before = megabytes("VmHWM")
    work(frame, boxes)
    print(megabytes("VmHWM") - before)


def rows(path: Path, count: int, rounds: int, threads: int, as_ellipses: bool) -> Iterator[str]:
    """Lines of the table for a number of boxes."""
    frame, boxes = frame_and_boxes(count)
    works = {name: method(name, path, boxes if as_ellipses else None) for name in METHODS}
    torch.set_num_threads(threads)  # Ultralytics sets it when it loads
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            begun = time.perf_counter(), time.process_time()
            found = work(frame, boxes)
            times[name].append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
            if found != count:
                raise SystemExit(f"{name} returned {found} masks for {count} boxes")
    for name, taken in times.items():
        other = "loop" if name == "refine" else "ultralytics.SAM"
        ratio = statistics.median(b / a for (_, a), (_, b) in zip(taken, times[other], strict=True))
        clock, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        memory = "" if as_ellipses else f"{peak(name, path, count):.0f}"
        yield f"| {count} | {name} | {clock:.2f} | {cpu:.2f} | {ratio:.2f} | {memory} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--boxes", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ellipses", action="store_true", help="masks as of a trained network")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"YOLO_CONFIG_DIR": folder, "YOLO_OFFLINE": "true"}
        torch.set_num_threads(options.threads)
        if options.memory:
            _print_peak(*options.memory)
            return
        path = Path(folder) / "mobile_sam.pt"
        checkpoint(path)
        print("| boxes | method | seconds | CPU seconds | faster, by CPU time | peak MB |")
        print("|---|---|---|---|---|---|")
        for count in options.boxes:
            for row in rows(path, count, options.rounds, options.threads, options.ellipses):
                print(row, flush=True)


if __name__ == "__main__":
    main()
