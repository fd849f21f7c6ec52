"""Run what `make test` promises: lint, types, every test, every notebook, the book.

python tools/test.py            everything
python tools/test.py --lint     style and types only
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from execute import cores

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
LINT = {
    "ruff check": [PYTHON, "-m", "ruff", "check", "."],
    "ruff format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "mypy": [PYTHON, "-m", "mypy"],
}


def pytest_command() -> list[str]:
    """Return the call of pytest: unit tests, the book's tests, notebooks by nbval."""
    notebooks = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300"]
    # A notebook's cells must stay on one worker, in order: loadscope sees to that.
    parallel = ["-n", str(min(4, cores())), "--dist", "loadscope"]
    return [PYTHON, "-m", "pytest", "-q", "--durations=15", *notebooks, *parallel]


def main() -> None:
    """Run every step, even after one has failed, and name those that failed."""
    steps = dict(LINT)
    if "--lint" not in sys.argv:
        steps["pytest"] = pytest_command()
    environment = dict(os.environ)
    if "pytest" in steps:
        environment["MULTIGAN_PROFILE"] = "smoke"
    failed = []
    start = time.time()
    for name, command in steps.items():
        print(f"== {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            failed.append(name)
    print(f"== {time.time() - start:.0f} s")
    if failed:
        sys.exit(f"multigan: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
