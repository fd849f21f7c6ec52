"""Where a record comes from: the commit, the versions and the machine."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version

import torch

from .. import paths

LIBRARIES = (
    "multigan",
    "torch",
    "torchvision",
    "torchmetrics",
    "numpy",
    "scikit-learn",
)


def commit() -> tuple[str | None, bool]:
    """Return the repository's commit, and whether the library differs from it."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(paths.REPOSITORY), *words]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)

    if paths.REPOSITORY is None:
        return None, False
    try:
        head = git("rev-parse", "HEAD").strip()
        changed = git("status", "--porcelain", "--", "multigan_lib", "data/features")
    except (OSError, subprocess.CalledProcessError):
        return None, False
    return head, bool(changed)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"{device.type} ({platform.machine()})"
