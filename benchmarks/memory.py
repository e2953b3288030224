"""Memory of this process, as Linux counts it: `getrusage` would count what the process that started it held as well."""

from __future__ import annotations

from pathlib import Path


def megabytes(field: str) -> float:
    """MB of a field of the process's status: ``VmRSS`` is what is held now, ``VmHWM`` the most that was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
