"""What both sides of a golden file do: deterministic weights, one image, prompts, and which numbers are kept.

The official implementation of a model was run once on the weights, image and prompts made here.
NAME.keys.json holds the names and shapes of its state dict and the seed, NAME.npz what came out:

- ``embedding``: every 8th channel and 4th row and column of the image embedding;
- ``CASE.logits``: the logits of the four mask tokens in their own order, every 8th row and column;
- ``CASE.iou``: their predicted IoU;
- ``predictions`` and ``prototypes`` of a detector: every 7th cell of the one, every 6th row and column of the other;
- ``KEY#stat``: mean, standard deviation and largest absolute value of the whole array.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from lightsam_plugins.registry import ModelSpec, build_network
from lightsam_plugins.types import PromptBatch

Array = npt.NDArray[np.float32]


def path(folder: Path, model: str, suffix: str) -> Path:
    """Where a file of a model lies: ``sam-vit-b`` -> ``sam_vit_b.npz``."""
    return folder / f"{model.replace('-', '_')}.{suffix}"


def keys(folder: Path, model: str) -> tuple[str, dict[str, tuple[int, ...]]]:
    """The seed, and name -> shape of the official state dict."""
    content = json.loads(path(folder, model, "keys.json").read_text())
    return content["seed"], {name: tuple(shape) for name, shape in content["state_dict"]}


def random_state(seed: str, name: str) -> np.random.RandomState:
    """Random numbers that depend on nothing but the seed and the name."""
    return np.random.RandomState(zlib.crc32(f"{seed}:{name}".encode()))


def parameter(seed: str, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor of that name in the golden weights."""
    random = random_state(seed, name)
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith("running_var"):
        return torch.from_numpy(random.uniform(0.5, 1.5, shape)).float()
    x = np.asarray(random.standard_normal(shape))
    if name.endswith("running_mean"):
        x = 0.1 * x
    elif name.endswith("attention_biases"):
        x = 0.5 * x
    elif name.endswith("positional_encoding_gaussian_matrix"):
        pass
    elif len(shape) <= 1:
        x = 0.05 * x if name.endswith("bias") else 1 + 0.1 * x
    else:
        x = x / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(x).float()


def image(seed: str, height: int, width: int) -> torch.Tensor:
    """A normalised image of waves and noise, (1, 3, H, W) float32."""
    random = random_state(seed, "image")
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    waves = np.zeros((3, height, width))
    for channel in waves:
        for _ in range(12):
            fx, fy = random.uniform(-12, 12), random.uniform(-12, 12)
            channel += np.sin(2 * np.pi * (fx * x + fy * y) + random.uniform(0, 2 * np.pi))
    noisy = waves / waves.std() + 0.1 * random.standard_normal((3, height, width))
    return torch.from_numpy(noisy[None]).float()


def prompts(seed: str, *, negative: bool) -> dict[str, PromptBatch]:
    """The cases, four objects each, in the 1024 frame; without `negative` all clicks are positive."""
    random = random_state(seed, "prompts")
    points = torch.from_numpy(random.uniform(40, 980, (4, 3, 2))).float()
    labels = torch.tensor([[1, 1, 0], [1, 0, 1], [1, 1, 1], [1, 0, 0]])
    labels = labels if negative else torch.ones_like(labels)
    corner, size = random.uniform(20, 600, (4, 2)), random.uniform(80, 400, (4, 2))
    boxes = torch.from_numpy(np.concatenate([corner, corner + size], axis=1)).float()
    low = torch.from_numpy(random.standard_normal((4, 1, 32, 32))).float()
    masks = 4 * F.interpolate(low, (256, 256), mode="bilinear", align_corners=False)[:, 0]
    first, none = (points[:, :1], labels[:, :1]), (points[:, :0], labels[:, :0])
    return {
        "point1": PromptBatch(*first),
        "points3": PromptBatch(points, labels),
        "box": PromptBatch(*none, boxes),
        "box_point": PromptBatch(*first, boxes),
        "mask_point": PromptBatch(*first, None, masks),
    }


def parts(name: str, array: Array) -> list[Array]:
    """What is compared by itself: the large coordinates of predictions would hide errors of the coefficients."""
    return np.split(array, (4, 5)) if name == "predictions" else [array]


def network(spec: ModelSpec, folder: Path) -> torch.nn.Module:
    """The network of a model with the golden weights."""
    seed, shapes = keys(folder, spec.name)
    built = build_network(spec)
    used = {name: shape for name, shape in shapes.items() if not name.startswith(tuple(built.unused_keys))}
    built.load_state_dict({name: parameter(seed, name, shape) for name, shape in used.items()})
    return built


@torch.inference_mode()
def outputs(spec: ModelSpec, folder: Path) -> Iterator[tuple[str, Array, Array]]:
    """Each array of the golden file as this package computes it: name, the whole, the part that is kept."""
    seed, _ = keys(folder, spec.name)
    built = network(spec, folder)
    kept = np.load(path(folder, spec.name, "npz")).files
    if "predictions" in kept:
        predictions, prototypes = (output[0].numpy() for output in built(image(seed, 480, 640).sigmoid()))
        yield "predictions", predictions, predictions[:, ::7]
        yield "prototypes", prototypes, prototypes[:, ::6, ::6]
        return
    features = built.encode(image(seed, spec.encoder_side, spec.encoder_side))
    embedding = features["image_embedding"].numpy()
    yield "embedding", embedding, embedding[0, ::8, ::4, ::4]
    wanted = {name.split(".")[0] for name in kept}
    for case, batch in prompts(seed, negative="negative_point" in spec.prompts).items():
        if case in wanted:
            logits, iou = (output.numpy() for output in built.decode_all(features, batch))
            yield f"{case}.logits", logits, logits[..., ::8, ::8]
            yield f"{case}.iou", iou, iou
