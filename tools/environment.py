"""Make the virtual environment that the book and its tests run in.

    python3 tools/environment.py [FOLDER]

The standard library only, and a syntax that old Pythons can read: this file runs
before anything is installed, and must be able to say that the Python is too old.
Whatever goes wrong is answered with one sentence that says what to do.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = [(3, 13), (3, 12), (3, 11)]
NEEDED_GB = 8
NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError"
    r"|Max retries exceeded|[Nn]etwork is unreachable|name resolution"
    r"|Connection (?:refused|reset|broken|timed out)|getaddrinfo failed"
)
NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|Errno (?:28|122)\b")
CHECK_TORCH = "import torch, torchvision; print(torch.__version__)"


class Trouble(Exception):
    """What is wrong and what to do about it, in one sentence."""


def find_python():
    """Return a supported interpreter: this one, else another one on the path."""
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    for version in SUPPORTED:
        name = "python%d.%d" % version
        path = shutil.which(name)
        if path and version_of(path) == version:
            return path
    raise Trouble(
        "This is Python %d.%d, and the book needs 3.11, 3.12 or 3.13: install one of "
        "them and run make again (make PYTHON=/path/to/python3.12 picks one by hand)."
        % sys.version_info[:2]
    )


def version_of(python):
    """Return (major, minor) of an interpreter, None where it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    answer = run([python, "-c", code])
    return tuple(map(int, answer.stdout.split())) if answer.returncode == 0 else None


def check_disk(folder, needed=NEEDED_GB):
    """Raise Trouble where fewer than `needed` GB are free for `folder`."""
    free = shutil.disk_usage(str(folder)).free / 1e9
    if free < needed:
        raise Trouble(
            "Only %.1f GB are free on the disk of %s, and the environment needs about "
            "%d GB: free some space and run make again." % (free, folder, needed)
        )


def run(command, **options):
    """Run a command and return its result with the output as text."""
    return subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        **options,
    )


def create(python, folder):
    """Make an empty virtual environment."""
    made = run([python, "-m", "venv", "--clear", folder])
    if made.returncode == 0:
        return
    if "ensurepip" in made.stdout:
        raise Trouble(
            "%s cannot make virtual environments: install its venv module (on Debian "
            "and Ubuntu the package python3-venv) and run make again." % python
        )
    raise Trouble(explain(made.stdout, "making the virtual environment failed"))


def install(folder):
    """Install the pinned requirements and the library itself, in place."""
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--retries", "2"]
    pip += ["--disable-pip-version-check", "--quiet"]
    log = folder / "install.log"
    for what in (
        ["-r", ROOT / "requirements.txt"],
        ["--no-deps", "--no-build-isolation", "-e", ROOT],
    ):
        done = run(pip + what)
        with log.open("a") as file:
            file.write(done.stdout)
        if done.returncode != 0:
            reason = "installing the requirements failed (the whole log is %s)" % log
            raise Trouble(explain(done.stdout, reason))


def explain(output, otherwise):
    """Turn the output of a failed command into the one sentence to print."""
    if NO_SPACE.search(output):
        return "The disk is full: free about %d GB and run make again." % NEEDED_GB
    if NO_NETWORK.search(output):
        return (
            "The package index cannot be reached: connect this machine to the network "
            "(or set pip's proxy or index) and run make again."
        )
    last = [line.strip() for line in output.splitlines() if line.strip()][-1:]
    return "%s: %s" % (
        otherwise[0].upper() + otherwise[1:],
        "".join(last) or "no output",
    )


def check_torch(folder):
    """Raise Trouble where torch and torchvision do not work together."""
    answer = run([folder / "bin" / "python", "-c", CHECK_TORCH])
    if answer.returncode == 0:
        return
    found = ", ".join(torch_packages(folder)) or "neither of them"
    raise Trouble(
        "torch and torchvision in %s do not fit together (found: %s): delete that "
        "folder and run make again to get the matched pair of requirements.txt."
        % (folder, found)
    )


def torch_packages(folder):
    """Return names and versions of the installed torch and torchvision."""
    infos = folder.glob("lib/python*/site-packages/torch*.dist-info")
    names = [info.name[: -len(".dist-info")] for info in infos]
    return sorted(name for name in names if re.match(r"torch(vision)?-", name))


def fingerprint(folder):
    """Return what the environment depends on; another value means: check it again."""
    digest = hashlib.sha256()
    for name in ("requirements.txt", "pyproject.toml", "setup.py"):
        digest.update((ROOT / name).read_bytes())
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def prepare(folder):
    """Make or mend the environment in `folder`; quick where nothing has changed."""
    wanted, stamp = fingerprint(folder), folder / "ready"
    found = stamp.read_text().splitlines() if stamp.exists() else []
    if found[:1] != [wanted]:
        python = find_python()
        if not (folder / "bin" / "python").exists():
            check_disk(ROOT)
            print("Making %s with %s" % (folder, python))
            create(python, folder)
        print(
            "Installing the pinned packages (about 6 GB, some minutes) ...", flush=True
        )
        start = time.time()
        install(folder)
        print("Installed in %.0f s" % (time.time() - start), flush=True)
    if found != [wanted] + torch_packages(folder):
        check_torch(folder)
        stamp.write_text("\n".join([wanted] + torch_packages(folder)) + "\n")


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".venv")
    try:
        prepare(Path(os.path.abspath(str(folder))))
    except Trouble as trouble:
        sys.exit("multigan: %s" % trouble)
    except OSError as error:
        sys.exit("multigan: %s" % explain(str(error), "the set-up failed"))


if __name__ == "__main__":
    main()
