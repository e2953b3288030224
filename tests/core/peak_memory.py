"""Peak memory of a script in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

_PRELUDE = """
import json, resource, sys
from pathlib import Path

def peak():
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would count what the parent process held
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
"""


def peak_growth(prepare: str, measured: str) -> int:
    """Bytes by which `measured` raises the peak resident memory that a process had after `prepare`."""
    script = f"{_PRELUDE}\n{prepare}\nbefore = peak()\n{measured}\nprint(json.dumps(peak() - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout.splitlines()[-1]))
