"""Average two exported networks of one descent: what one gained is kept, what it lost comes back in part.

    python -m training.average --first old.safetensors --second new.safetensors --share 0.4 --out nano.safetensors

Model soups: https://arxiv.org/abs/2203.05482.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import load_file, save_file


def average(first: Path, second: Path, share: float, out: Path) -> None:
    """Write (1 - share) of the first and `share` of the second, tensor by tensor, in half precision."""
    one, other = load_file(first), load_file(second)
    if {name: t.shape for name, t in one.items()} != {name: t.shape for name, t in other.items()}:
        raise SystemExit(f"{first} and {second} are not of one architecture: their tensors differ")
    mixed = {
        name: (one[name].float() * (1 - share) + t.float() * share).half().contiguous()
        for name, t in other.items()
    }
    save_file(mixed, out, {"format": "pt"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=Path, required=True)
    parser.add_argument("--second", type=Path, required=True)
    parser.add_argument("--share", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    average(**vars(parser.parse_args()))
