"""What tells the weights of one model apart from others of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lightsam_plugins.model_spec import ModelSpec
from lightsam_plugins.weights.parts import own_files


def weights_identity(card: ModelSpec, weights: Path | None = None) -> str:
    """The hashes of the files of a model, joined by "+".

    Args:
        card: The model.
        weights: The file or folder that is used instead of its own, if there is one.
    """
    identities = [file.sha256 or file.git_blob or f"{file.size} bytes" for file in card.files]
    if weights is not None and weights.exists():
        identities = [_digest(path) for path in own_files(card, weights).values() if path.is_file()]
    return "+".join(identities)


def _digest(path: Path) -> str:
    with path.open("rb") as checkpoint:
        return hashlib.file_digest(checkpoint, "sha256").hexdigest()
