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
NEEDED_GB = 9  # 5.5 installed, the rest while the packages are unpacked
NO_NETWORK = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError"
    r"|Max retries exceeded|[Nn]etwork is unreachable|name resolution"
    r"|Connection (?:refused|reset|broken|timed out)|getaddrinfo failed"
)
NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded")


class Trouble(Exception):  # noqa: N818 - it is no programming error
    """What is wrong and what to do about it, in one sentence."""


def run(command):
    """Run a command and return its result; its output, errors too, is text."""
    return subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )


def find_python():
    """Return a supported interpreter: this one, else another one on the path."""
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    for major, minor in SUPPORTED:
        path = shutil.which(f"python{major}.{minor}")
        if path and run([path, "-c", "import venv"]).returncode == 0:
            return path
    raise Trouble(
        "This is Python {}.{}, and the book needs 3.11, 3.12 or 3.13: install one of "
        "them and run make again (make PYTHON=/path/to/python picks one "
        "by hand).".format(*sys.version_info[:2])
    )


def check_disk(folder):
    """Raise Trouble where too little is free on the disk of `folder`."""
    free = shutil.disk_usage(str(folder)).free / 1e9
    if free < NEEDED_GB:
        raise Trouble(
            f"Only {free:.1f} GB are free on the disk of {folder}, and setting up "
            f"takes about {NEEDED_GB} GB: free some space and run make again."
        )


def create(python, folder):
    """Make an empty virtual environment."""
    made = run([python, "-m", "venv", "--clear", folder])
    if made.returncode and "ensurepip" in made.stdout:
        raise Trouble(
            f"{python} cannot make virtual environments: install its venv module (on "
            "Debian and Ubuntu the package python3-venv) and run make again."
        )
    if made.returncode:
        raise Trouble(explain(made.stdout, "Making the virtual environment failed"))


def install(folder, *what):
    """Install something with the environment's pip; its output goes to a log."""
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    done = run([*pip, "--retries", "2", "--disable-pip-version-check", *what])
    log = folder / "install.log"
    log.write_text(done.stdout)
    if done.returncode:
        raise Trouble(explain(done.stdout, f"Installing failed (see {log})"))


def explain(output, otherwise):
    """Turn the output of what failed into the sentence to print."""
    if NO_SPACE.search(output):
        return f"The disk is full: free about {NEEDED_GB} GB and run make again."
    if NO_NETWORK.search(output):
        return (
            "The package index cannot be reached: connect this machine to the network "
            "(or set pip's proxy or index) and run make again."
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"{otherwise}: {lines[-1] if lines else 'there was no output'}"


def check_torch(folder):
    """Raise Trouble where torch and torchvision do not work together."""
    answer = run([folder / "bin" / "python", "-c", "import torch, torchvision"])
    if answer.returncode:
        raise Trouble(
            f"torch and torchvision in {folder} do not fit together (it has "
            f"{' and '.join(torch_packages(folder)) or 'neither'}): delete that folder "
            "and run make again to get the matched pair of requirements.txt."
        )


def torch_packages(folder):
    """Return the names, with versions, of the installed torch and torchvision."""
    infos = folder.glob("lib/python*/site-packages/torch*.dist-info")
    names = sorted(info.name[: -len(".dist-info")] for info in infos)
    return [name for name in names if re.match(r"torch(vision)?-", name)]


def wanted():
    """Return a hash of all that decides what is installed."""
    files = [ROOT / name for name in ("requirements.txt", "pyproject.toml", "setup.py")]
    content = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(content + str(ROOT).encode()).hexdigest()


def prepare(folder):
    """Make or mend the environment in `folder`; quick where nothing has changed."""
    stamp = folder / "ready"
    found = stamp.read_text().splitlines() if stamp.exists() else []
    if found[:1] != [wanted()]:
        start = time.time()
        if not (folder / "bin" / "python").exists():
            python = find_python()
            check_disk(ROOT)
            print(f"Making {folder} with {python}")
            create(python, folder)
        print("Installing the pinned packages (about 6 GB) ...", flush=True)
        install(folder, "-r", ROOT / "requirements.txt")
        install(folder, "--no-deps", "--no-build-isolation", "-e", ROOT)
        print(f"Ready in {time.time() - start:.0f} s", flush=True)
    if found != [wanted(), *torch_packages(folder)]:
        check_torch(folder)
        stamp.write_text("\n".join([wanted(), *torch_packages(folder)]) + "\n")


def main():
    """Prepare the environment; trouble is one line and exit status 1."""
    folder = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / ".venv")
    try:
        prepare(Path(os.path.abspath(folder)))
    except Trouble as trouble:
        sys.exit(f"multigan: {trouble}")
    except OSError as error:
        sys.exit(f"multigan: {explain(str(error), 'The set-up failed')}")


if __name__ == "__main__":
    main()
