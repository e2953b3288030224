"""The last few images that a model encoded, found again by their pixels or as files."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lightsam_plugins.pixel_values import UInt8Array
    from lightsam_plugins.segmenter import Segmenter
    from lightsam_plugins.types import Embedding


class EmbeddingCache:
    """Encodes images; one whose pixels were among the last `size` is not encoded again. Threads may share it.

    Pixels are compared by a hash of 128 bits, so that neither an array that was changed in place nor a file that was
    written anew is mistaken for what it was. No image is kept.

    Args:
        model: Encodes.
        size: Embeddings that are kept, a few MB each.
    """

    def __init__(self, model: Segmenter, size: int = 8) -> None:
        self.model, self.size = model, size
        self._kept: OrderedDict[bytes, Embedding] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def embed(self, images: Sequence[UInt8Array]) -> list[Embedding]:
        """The embeddings of (H, W, 3) uint8 RGB images in their order; new ones are encoded in batches."""
        keys = [_key(image) for image in images]
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in found}
        found |= zip(new, self.model.embed(list(new.values())), strict=True)
        self._keep({key: found[key] for key in keys})
        return [found[key] for key in keys]

    def embed_file(self, path: str | Path) -> Embedding:
        """The embedding of an image file; unless it was written since, it is not even read again.

        Raises:
            ImageError: The file cannot be read.
        """
        status = Path(path).stat() if Path(path).exists() else None
        key = repr((str(path), status and (status.st_mtime_ns, status.st_size))).encode()
        with self._lock:
            found = self._kept.get(key)
        embedding = self.model.embed(path) if found is None else found
        self._keep({key: embedding})
        return embedding

    def _keep(self, found: dict[bytes, Embedding]) -> None:
        with self._lock:
            for key, embedding in found.items():
                self._kept[key] = embedding
                self._kept.move_to_end(key)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)


def _key(image: UInt8Array) -> bytes:
    digest = blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()
