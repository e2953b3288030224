"""The recipe beside the tests is imported by name: `--import-mode=importlib` leaves `sys.path` alone."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> Iterator[dict[str, dict[str, float]]]:
    """Model -> array -> relative error, to fill; ``--golden-errors`` writes it, with two digits, to a file."""
    errors: dict[str, dict[str, float]] = {}
    yield errors
    target = pytestconfig.getoption("golden_errors")
    if target:
        short = {
            name: {array: float(f"{error:.1e}") for array, error in found.items()}
            for name, found in errors.items()
        }
        target.write_text(json.dumps(short, indent=1) + "\n")
