"""What unit tests, notebooks and the book's own tests share.

Set before anything imports torch, and inherited by the workers and the notebooks'
kernels: the smoke profile, and one thread each.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent

# The sizes of the smoke profile are too small to share between threads, and several
# workers' threads that fight over the same cores can slow a step a hundredfold.
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
os.environ.setdefault("MULTIGAN_PROFILE", "smoke")
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
)
os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
