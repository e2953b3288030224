"""Build the training pool: square samples of a fixed size in two flat files, read by memory mapping.

python -m training.pool --data DIR --out DIR --count 9000 --jobs 2
"""

from __future__ import annotations

import argparse
from multiprocessing import Pool as Processes
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from training.garments import pseudo_mask
from training.microscope import other_microscope
from training.photos import collage, crop, photo, square
from training.scenes import Sample, composite, packed
from training.sources import Labels, Sources, UInt8, read_rgb

SIZE = 384
MIX = {"photo": 0.27, "collage": 0.18, "composite": 0.24, "packed": 0.13, "nuclei": 0.14, "garment": 0.04}
MIN_SHARE = 0.002  # of the square; smaller objects are not prompted for


def nuclei(sources: Sources, rng: Generator, size: int) -> Sample:
    """A window of a microscopy image, some 4 to 16 nuclei wide."""
    names = sources.names("dsb2018")
    image, labels = sources.nuclei(names[rng.integers(len(names))])
    areas = np.bincount(labels.ravel())[1:]
    diameter = np.sqrt(np.median(areas[areas > 0])) if (areas > 0).any() else 20
    side = int(np.clip(diameter * np.exp(rng.uniform(np.log(3.5), np.log(16))), 48, min(image.shape[:2])))
    y, x = (int(rng.integers(0, extent - side + 1)) for extent in image.shape[:2])
    window = np.s_[y : y + side, x : x + side]
    seen = other_microscope(image[window], rng) if rng.random() < 0.5 else image[window]
    return Sample(*square(seen, labels[window], size))


def garment(sources: Sources, rng: Generator, size: int) -> Sample | None:
    """A garment photo with a mask that two runs of GrabCut agree on, or None."""
    image = read_rgb(sources.garments[rng.integers(len(sources.garments))])
    mask = pseudo_mask(image)
    if mask is None:
        return None
    image, labels = crop(image, mask.astype(np.int32), rng, 0.6)
    return Sample(*square(image, labels, size), complete=False)


MAKERS = {
    "photo": photo,
    "collage": collage,
    "composite": composite,
    "packed": packed,
    "nuclei": nuclei,
    "garment": garment,
}


def relabel(labels: Labels) -> UInt8:
    """Number the objects that are large enough 1..n; the others become 0."""
    areas = np.bincount(labels.ravel())
    keep = np.flatnonzero(areas >= MIN_SHARE * labels.size)
    keep = keep[keep > 0][:254]
    table = np.zeros(len(areas), np.uint8)
    table[keep] = np.arange(1, len(keep) + 1)
    return table[labels]


def make(job: tuple[Path, str, int, dict[str, float]]) -> tuple[UInt8, UInt8, bool] | None:
    """One sample of a random kind, or None where it holds no usable object."""
    root, split, seed, mix = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    sources = _SOURCES.setdefault((root, split), Sources(root, split))
    kind = rng.choice(list(mix), p=np.array(list(mix.values())) / sum(mix.values()))
    sample = MAKERS[kind](sources, rng, SIZE)
    if sample is None:
        return None
    labels = relabel(sample.labels)
    return (sample.image, labels, sample.complete) if labels.any() else None


_SOURCES: dict[tuple[Path, str], Sources] = {}


def shares(text: str) -> dict[str, float]:
    """A mix as on the command line: "nuclei=0.4,packed=0.6"."""
    mix = {kind: float(share) for kind, share in (part.split("=") for part in text.split(","))}
    if unknown := mix.keys() - MAKERS.keys():
        raise argparse.ArgumentTypeError(
            f"no such kind of sample: {', '.join(unknown)}; there are {', '.join(MAKERS)}"
        )
    return mix


def build(options: argparse.Namespace) -> None:
    """Write images.npy, labels.npy and complete.npy with `count` samples."""
    out, count = options.out, options.count
    out.mkdir(parents=True, exist_ok=True)
    images = np.lib.format.open_memmap(out / "images.npy", "w+", np.uint8, (count, SIZE, SIZE, 3))
    labels = np.lib.format.open_memmap(out / "labels.npy", "w+", np.uint8, (count, SIZE, SIZE))
    complete = np.zeros(count, bool)
    tasks = (
        (options.data, options.split, options.seed * 1_000_003 + index, options.mix)
        for index in range(count * 3)
    )
    with Processes(options.jobs) as processes:
        done = 0
        for made in processes.imap_unordered(make, tasks, chunksize=8):
            if made is None:
                continue
            images[done], labels[done], complete[done] = made
            done += 1
            if done == count:
                processes.terminate()
                break
            if done % 500 == 0:
                print(f"{done} of {count}", flush=True)
    np.save(out / "complete.npy", complete)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--count", type=int, default=9000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mix", type=shares, default=MIX, help='such as "nuclei=0.4,packed=0.6"')
    build(parser.parse_args())
