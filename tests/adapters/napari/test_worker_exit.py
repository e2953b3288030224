"""What is left of the worker's thread when Python ends."""

import subprocess
import sys

PROGRAM = """
import time
from lightsam_napari.worker import Worker

def job(ticket):
    print("began", flush=True)
    time.sleep(0.5)
    print("ended" if ticket.cancelled else "not told", flush=True)

worker = Worker(lambda function: None)
worker.submit("batch", job, print, print)
while not worker._running:
    time.sleep(0.001)
"""


def test_the_end_of_python_waits_for_the_step_that_runs() -> None:
    """A job that runs as the program ends is told, and its step ends: a thread inside torch would abort the process."""
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.split()) == (0, ["began", "ended"]), result.stderr
