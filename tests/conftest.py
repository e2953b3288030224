"""Options and settings that all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before torch is imported, here or in a subprocess: tests are small, more threads only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "2")

# No deadline, no complaint about speed: the machine may be busy. No database: tests write under tmp_path.
settings.register_profile(
    "lightsam", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("ci", settings.get_profile("lightsam"), derandomize=True)
settings.load_profile("ci" if "CI" in os.environ else "lightsam")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the golden outputs come from another folder of the same form."""
    parser.addoption(
        "--golden-dir",
        type=Path,
        default=Path(__file__).parent / "golden",
        help="folder with NAME.npz and NAME.keys.json files (default: tests/golden)",
    )
    parser.addoption(
        "--golden-errors",
        type=Path,
        help="write the measured errors to this file; docs/models.md shows those of tests/golden/errors.json",
    )


@pytest.fixture(scope="session")
def golden_dir(pytestconfig: pytest.Config) -> Path:
    """The folder with the golden outputs."""
    return Path(pytestconfig.getoption("golden_dir"))
