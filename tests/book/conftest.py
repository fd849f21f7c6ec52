"""The book, built once in the smoke profile for all tests that look at its pages."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def html(repository) -> Path:
    """The folder of the built pages; building them is itself a test.

    Workers that run at the same time wait for each other: the first one builds, the
    others find nothing left to do.
    """
    into = repository / "_build" / "smoke"
    into.mkdir(parents=True, exist_ok=True)
    with (into / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = subprocess.run(
            [sys.executable, repository / "tools" / "build_book.py", "--into", into],
            env={**os.environ, "MULTIGAN_PROFILE": "smoke"},
            capture_output=True,
            text=True,
        )
    if answer.returncode:
        lines = [
            line
            for line in (answer.stdout + answer.stderr).splitlines()
            if "WARNING" in line or "ERROR" in line or "Error" in line
        ]
        pytest.fail(
            "the book does not build:\n" + "\n".join(lines[-40:]), pytrace=False
        )
    return into / "_build" / "html"
