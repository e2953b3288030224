"""The list of models in napari.yaml: ``python -m lightsam_napari.manifest`` writes it anew from the registry."""

from __future__ import annotations

import re
from pathlib import Path

from lightsam_plugins import list_models

FILE = Path(__file__).with_name("napari.yaml")
_LIST = re.compile(
    r"(?<=          enum:\n)(?:            - .+\n)+"
)  # the one list that is written a line each


def renewed(manifest: str) -> str:
    """A manifest whose choice of models is that of the registry."""
    return _LIST.sub("".join(f"            - {name}\n" for name in list_models()), manifest)


if __name__ == "__main__":
    FILE.write_text(renewed(FILE.read_text("utf-8")), "utf-8")
