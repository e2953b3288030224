"""This package beside a peer on the same weights: a Markdown table of ratios, theirs over ours.

    python -m benchmarks.versus mobile_sam [--rounds 9] [--threads 1] [--only encode]

Run by the Python of the peer's environment, which `make bench` sets up.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.interleave import table


def main() -> None:
    """Print the table of one peer."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peer", help="a module of benchmarks/peers")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="the tasks whose name has these words")
    options = parser.parse_args()
    peer = import_module(f"benchmarks.peers.{options.peer}")
    versions = ", ".join(f"{name} {version(name)}" for name in [*peer.PACKAGES, "torch"])
    print(f"{versions}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, ", end="")
    print(f"{options.threads} thread(s)\n")
    with tempfile.TemporaryDirectory() as folder:
        chosen = (case for case in peer.cases(Path(folder)) if options.only in case.work)
        for line in table(chosen, options.rounds, options.threads):
            print(line, flush=True)


if __name__ == "__main__":
    main()
