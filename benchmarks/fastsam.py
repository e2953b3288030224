"""FastSAM beside the ultralytics package: all objects of a photo, same seeded weights, interleaved.

    python -m benchmarks.fastsam [--rounds 9] [--threads 1]

Both are given the photo as an array and bring all masks to its size. Prints the CPU time of each, medians, and the
median of the ratios of the rounds. In the same process, so that neither has the machine to itself.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import lightsam_plugins as ls


def seconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    """Write the checkpoint, check that both find the same, time both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    image = np.asarray(Image.open(Path(ls.__file__).parent / "assets" / "coffee.jpg").convert("RGB"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"YOLO_CONFIG_DIR": folder, "YOLO_OFFLINE": "true"}
        from ultralytics.models import FastSAM

        from tests.adapters.official_fastsam import SETTINGS, save, seeded_model

        path = Path(folder) / "FastSAM-s.pt"
        save(seeded_model(image), path)
        official, ours = FastSAM(str(path)), ls.load("fastsam-s", weights=path, device="cpu")
    torch.set_num_threads(options.threads)
    reverse = np.ascontiguousarray(image[..., ::-1])

    def theirs() -> int:
        return len(official.predict(reverse, **SETTINGS)[0].masks.data)

    assert theirs() == len(ours.everything(image).crops())
    rounds = [
        (seconds(theirs), seconds(lambda: ours.everything(image).crops())) for _ in range(options.rounds)
    ]
    print(f"ultralytics {statistics.median(a for a, _ in rounds):.3f} s", end=", ")
    print(f"ours {statistics.median(b for _, b in rounds):.3f} s", end=", ")
    print(f"ratio {statistics.median(a / b for a, b in rounds):.2f}")


if __name__ == "__main__":
    main()
