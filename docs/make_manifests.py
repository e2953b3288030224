"""Writes the lists of models that FiftyOne's zoo and napari read: ``python docs/make_manifests.py``.

Both read them without running any of our code; hence they are files and not made of the registry on the spot.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lightsam_plugins.registry import list_models, model_card

ADAPTERS = Path(__file__).parent.parent / "adapters"
ZOO = ADAPTERS / "lightsam_fiftyone" / "manifest.json"
NAPARI = ADAPTERS / "lightsam_napari" / "napari.yaml"
_CHOICE = re.compile(r"(?<=          enum:\n)(?:            - .+\n)+")  # the one list with a line for each


def zoo() -> str:
    """FiftyOne's ``manifest.json``, made of the model cards."""
    entries = {"name": "lightsam", "models": [_entry(name) for name in list_models()]}
    return json.dumps(entries, indent=2) + "\n"


def napari(manifest: str) -> str:
    """The plugin's ``napari.yaml`` with the registry's models as the choice on the preferences page."""
    return _CHOICE.sub("".join(f"            - {name}\n" for name in list_models()), manifest)


def _entry(name: str) -> dict[str, Any]:
    card = model_card(name)
    return {
        "base_name": f"lightsam/{name}",
        "base_filename": f"{name}.txt",
        "description": f"{card.params / 1e6:.1f} M parameters. {card.notes}".strip(),
        "license": card.licence_weights,
        "source": card.repository,
        "size_bytes": sum(file.size for file in card.files),
        "tags": ["segmentation", "embeddings", "torch", "zero-shot", "sam"],
        "requirements": {
            "packages": ["lightsam-plugins"],
            "cpu": {"support": True},
            "gpu": {"support": True},
        },
    }


if __name__ == "__main__":
    ZOO.write_text(zoo(), "utf-8")
    NAPARI.write_text(napari(NAPARI.read_text("utf-8")), "utf-8")
