"""The licence-clean image folders, their splits and their label maps.

The layout is that of the data folder's README: five folders and `splits.json`. `train` is split once more,
by a hash of the name, into `train` and `val`: choices between models are made on `val`, never on `holdout`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
VAL_SHARE = 20  # one name in twenty of `train` is kept for validation


def is_val(name: object) -> bool:
    """Whether a training name belongs to the validation part."""
    return zlib.crc32(str(name).encode()) % VAL_SHARE == 0


def read_image(path: Path, flags: int) -> npt.NDArray[Any]:
    """An image file as OpenCV reads it."""
    image = cv2.imread(str(path), flags)
    if image is None:
        raise FileNotFoundError(f"cannot read the image {path}")
    return image


def read_rgb(path: Path) -> UInt8:
    """An image file as (H, W, 3) uint8 RGB."""
    return cv2.cvtColor(read_image(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@dataclass(frozen=True)
class Sources:
    """Access to the folders under `root`, restricted to one split ("train", "val" or "holdout")."""

    root: Path
    split: str

    @cached_property
    def _splits(self) -> dict[str, Any]:
        return json.loads((self.root / "splits.json").read_text())

    def names(self, folder: str) -> list[Any]:
        """Names of the images of a folder that belong to this split."""
        parts = self._splits[folder]
        if self.split == "holdout":
            return list(parts.get("holdout", []))
        return [name for name in parts["train"] if is_val(name) == (self.split == "val")]

    @cached_property
    def grey_cytology(self) -> set[str]:
        """Names of the modality that training never sees (inside dsb2018's holdout)."""
        return set(self._splits["dsb2018"]["holdout_grey_cytology"])

    def nuclei(self, name: str) -> tuple[UInt8, Labels]:
        """One microscopy image and its label map."""
        folder = self.root / "dsb2018"
        labels = read_image(folder / f"{name}_label.png", cv2.IMREAD_UNCHANGED)
        return read_rgb(folder / f"{name}.png"), labels.astype(np.int32)

    @cached_property
    def _coco(self) -> tuple[dict[int, Any], dict[int, list[Any]]]:
        data = json.loads((self.root / "coco_clean" / "annotations.json").read_text())
        objects: dict[int, list[Any]] = {image["id"]: [] for image in data["images"]}
        for annotation in data["annotations"]:
            objects[annotation["image_id"]].append(annotation)
        return {image["id"]: image for image in data["images"]}, objects

    def object_count(self, image_id: int) -> int:
        """Number of annotated objects of a natural photo."""
        return len(self._coco[1][image_id])

    def photo(self, image_id: int) -> tuple[UInt8, list[UInt8]]:
        """One natural photo and the masks of its annotated objects, largest first."""
        from pycocotools import mask as rle

        images, objects = self._coco
        info = images[image_id]
        image = read_rgb(self.root / "coco_clean" / info["file_name"])
        masks = []
        for annotation in objects[image_id]:
            segmentation = annotation["segmentation"]
            if annotation.get("iscrowd") or not isinstance(segmentation, list):
                continue
            runs = rle.frPyObjects(segmentation, *image.shape[:2])
            masks.append(rle.decode(rle.merge(runs)).astype(np.uint8))
        return image, sorted(masks, key=lambda mask: -int(mask.sum()))

    @cached_property
    def cutouts(self) -> list[Path]:
        """Rendered RGBA objects; buttons and keycaps are squares and are left out."""
        skip = ("button", "keycap")
        return [self.root / name for name in self.names("fluent3d") if not any(word in name for word in skip)]

    @cached_property
    def textures(self) -> list[Path]:
        """Tileable textures; nets and chainmail are full of holes and are left out."""
        skip = ("/Net", "/Chainmail")
        return [
            self.root / name for name in self.names("ambientcg128") if not any(word in name for word in skip)
        ]

    @cached_property
    def garments(self) -> list[Path]:
        """Photos of single garments, without masks (they have no holdout)."""
        return [self.root / name for name in self.names("clothing256")]


@lru_cache(maxsize=4096)
def read_cutout(path: Path) -> UInt8:
    """(H, W, 4) uint8 RGBA, cropped to its alpha."""
    image = cv2.cvtColor(read_image(path, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    rows, columns = np.nonzero(image[..., 3] > 127)
    return image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


@lru_cache(maxsize=4096)
def read_texture(path: Path) -> UInt8:
    """A texture tile, (128, 128, 3) uint8 RGB."""
    return read_rgb(path)
