"""Run by `test_fastsam_parity` in a process of its own: what the ultralytics package makes of seeded weights.

Usage: official_fastsam.py FOLDER PHOTO...; writes FOLDER/FastSAM-s.pt, and for each PHOTO FOLDER/STEM.npz.
"""

import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from ultralytics import FastSAM
from ultralytics.nn.tasks import SegmentationModel

# Those of FastSAM's authors.
SETTINGS: dict[str, Any] = {
    "imgsz": 1024,
    "conf": 0.4,
    "iou": 0.9,
    "retina_masks": True,
    "device": "cpu",
    "verbose": False,
}


def seeded_model(photo: np.ndarray) -> SegmentationModel:
    """YOLOv8s-seg with weights at random, brought into a range where it sees a few dozen objects in the photo."""
    torch.manual_seed(0)
    model = SegmentationModel("yolov8s-seg.yaml", ch=3, nc=1, verbose=False)
    image = torch.from_numpy(cv2.resize(photo, (640, 640))).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # the statistics of this one image
        model.train()(image)
        model.eval()
        head = model.model[-1]
        for boxes, scores, coefficients in zip(head.cv2, head.cv3, head.cv4, strict=True):
            boxes[-1].weight *= 8
            scores[-1].weight *= 4
            coefficients[-1].weight *= 4
        scores = [branch[-1] for branch in head.cv3]
        seen: dict[nn.Module, torch.Tensor] = {}
        hooks = [one.register_forward_hook(lambda one, _, out: seen.update({one: out})) for one in scores]
        model(image)
        for one, hook, rare in zip(scores, hooks, (0.001, 0.003, 0.01), strict=True):
            hook.remove()
            # All but the rarest stay under the threshold of 0.4, whose logit is -0.405.
            one.bias -= torch.quantile(seen[one].flatten(), 1 - rare) + 0.405
    model.names = {0: "object"}
    return model


def save(model: SegmentationModel, path: Path) -> None:
    """Write a checkpoint as FastSAM's authors did: the module itself, in half precision."""
    torch.save({"epoch": -1, "model": model.half(), "ema": None, "train_args": {"task": "segment"}}, path)


def main(folder: Path, photos: list[Path]) -> None:
    """Save the checkpoint and predict with the authors' settings."""
    torch.set_num_threads(1)
    path = folder / "FastSAM-s.pt"
    save(seeded_model(cv2.imread(str(photos[0]))[..., ::-1].copy()), path)
    predictor = FastSAM(str(path))
    for photo in photos:
        start = time.process_time()
        result = predictor.predict(str(photo), **SETTINGS)[0]
        seconds = time.process_time() - start
        np.savez(
            folder / f"{photo.stem}.npz",
            boxes=result.boxes.xyxy.numpy(),
            scores=result.boxes.conf.numpy(),
            masks=result.masks.data.numpy() > 0,
            seconds=seconds,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(photo) for photo in sys.argv[2:]])
