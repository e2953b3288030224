"""Turn a training checkpoint into the file that ships: averaged weights, norms folded, half precision.

python -m training.export --state runs/state.pt --out lightsam_plugins/assets/nano.safetensors
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file

from lightsam_plugins.models.nano import Nano


def export(state: Path, out: Path) -> str:
    """Write the file; returns its sha256."""
    saved = torch.load(state, map_location="cpu", weights_only=True)
    model = Nano()
    if not any("norm.running" in name for name in saved["average"]):
        model.fold()  # trained on from shipped weights
    model.load_state_dict(saved["average"])
    tensors = {name: value.half().contiguous() for name, value in model.eval().fold().state_dict().items()}
    largest = max(float(value.abs().max()) for value in tensors.values())
    if not largest < float("inf"):
        raise ValueError("a folded weight does not fit into half precision; train with more weight decay")
    save_file(tensors, out, {"format": "pt", "passes": str(saved["passes"]), "steps": str(saved["step"])})
    return hashlib.sha256(out.read_bytes()).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    digest = export(options.state, options.out)
    print(f"{options.out}: {options.out.stat().st_size} bytes, sha256 {digest}")
