"""Peak memory of 64 clicks with three masks each on a photo of 1024 x 1024, beside the official code of MobileSAM.

    build/peers/mobile-sam/bin/python -m benchmarks.decode_memory

Each side works in a process of its own: a peak does not go down again. What it held before the clicks, the network and
the encoded photo, is taken off.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from mobilesam_lite.mobile_sam import SamPredictor, sam_model_registry

from benchmarks.memory import megabytes
from benchmarks.seeded import fill, load, photo

SIDE = 1024


def needed(side: str) -> float:
    """MB that the clicks take, to boolean masks of the photo."""
    sam, image = fill(sam_model_registry["vit_t"]()), photo(SIDE, SIDE)
    clicks = (np.mgrid[:8, :8].reshape(2, -1).T[:, None, ::-1] + 0.5) * (SIDE / 8)
    if side == "theirs":
        predictor = SamPredictor(sam)
        predictor.set_image(image)
        xy, foreground = torch.from_numpy(clicks).float(), torch.ones(len(clicks), 1)
        before = megabytes("VmRSS")
        masks = predictor.predict_torch(xy, foreground, multimask_output=True)[0]
        assert masks.shape == (64, 3, SIDE, SIDE)
    else:
        with tempfile.TemporaryDirectory() as folder:
            model = load("mobilesam", sam, Path(folder))
        encoded = model.embed(image)
        before = megabytes("VmRSS")
        crops = model.segment(encoded, points=clicks, multimask=True).crops()
        assert len(crops) == 3 * 64
    return megabytes("VmHWM") - before


def main() -> None:
    """Print both, and their ratio."""
    parser = argparse.ArgumentParser(description="Peak memory of 64 clicks, beside the official code.")
    parser.add_argument("--side", choices=("theirs", "ours"), help="measure one of them, in this process")
    side = parser.parse_args().side
    if side is not None:
        print(needed(side))
        return
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.decode_memory", "--side"]
    theirs, ours = (float(subprocess.check_output([*command, one])) for one in ("theirs", "ours"))
    print(f"theirs {theirs:.0f} MB, ours {ours:.0f} MB, ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
