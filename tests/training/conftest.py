"""Helpers beside the core's tests are imported by name: `--import-mode=importlib` leaves `sys.path` alone."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
