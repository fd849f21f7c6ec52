"""Checkpoints on disk: tensors in safetensors, everything else in JSON."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

MANIFEST = "checkpoint.json"


def exists(folder: str | Path) -> bool:
    """Return whether ``folder`` holds a checkpoint."""
    return (Path(folder) / MANIFEST).is_file()


def write(folder: str | Path, tensors: dict[str, Tensor], info: dict[str, Any]) -> None:
    """Write a checkpoint atomically, in place of the one that is there.

    The tensors go to a new file; replacing the manifest, which names that file, is the
    single moment at which the new checkpoint takes the old one's place. Whatever
    interrupts the writing, a complete checkpoint is left.

    Args:
        folder: made where missing.
        tensors: on any device, of any layout.
        info: JSON values; must not have the key ``"tensors"``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{uuid.uuid4().hex[:12]}.safetensors"
    save_file({name: t.detach().contiguous() for name, t in tensors.items()}, target)
    _flush(target)
    manifest = folder / MANIFEST
    draft = manifest.with_suffix(".tmp")
    draft.write_text(json.dumps({**info, "tensors": target.name}, indent=1))
    _flush(draft)
    os.replace(draft, manifest)
    for old in folder.glob("*.safetensors"):
        if old != target:
            old.unlink()


def read(folder: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint.

    Returns:
        The tensors, on the CPU, and the rest as it was given to :func:`write`.

    Raises:
        FileNotFoundError: if ``folder`` holds no checkpoint, or not all of it.
        ValueError: if a file is damaged.
    """
    folder = Path(folder)
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise FileNotFoundError(
            f"there is no checkpoint in {folder} (looked for {MANIFEST}); "
            "train writes one with checkpoint=..."
        )
    try:
        info = json.loads(manifest.read_text())
        target = folder / info.pop("tensors")
    except (json.JSONDecodeError, KeyError) as error:
        raise ValueError(f"{manifest} is damaged: {error}") from error
    if not target.is_file():
        raise FileNotFoundError(f"{manifest} names {target.name}, which is missing")
    try:
        return load_file(target), info
    except SafetensorError as error:
        raise ValueError(f"{target} is damaged: {error}") from error


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
