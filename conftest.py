"""What unit tests, notebooks and the book's own tests share.

Set before anything imports torch, and inherited by the notebooks' kernels: the smoke
profile, and each worker's fair share of the cores. (Threads of several workers that
fight over the same cores can slow a step a hundredfold.)
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
threads = os.environ.get("OMP_NUM_THREADS", str(max(1, cores() // workers)))
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", threads)
os.environ.setdefault("MULTIGAN_PROFILE", "smoke")
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
)
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
