"""Where the library finds and keeps files."""

import os
from pathlib import Path
from typing import Literal

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").exists() else None


def assets(kind: Literal["features", "published", "results"]) -> Path:
    """Return the folder of the files that come with the project.

    Args:
        kind: ``"features"`` (frozen feature networks), ``"published"`` (the
            papers' tables) or ``"results"`` (recorded runs).

    Returns:
        ``data/<kind>`` of the repository, or the copy inside the installed package.
    """
    return REPOSITORY / "data" / kind if REPOSITORY else PACKAGE / "assets" / kind


def cache() -> Path:
    """Return the folder for downloads and converted data; it may not exist yet."""
    if REPOSITORY:
        return REPOSITORY / "data" / "cache"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "multigan"


def data_folders() -> list[Path]:
    """Return the folders in which data sets are looked for, first hit wins.

    ``MULTIGAN_DATA``, where it is set, comes before the cache.

    Raises:
        FileNotFoundError: if ``MULTIGAN_DATA`` names no folder.
    """
    chosen = os.environ.get("MULTIGAN_DATA")
    if not chosen:
        return [cache()]
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"MULTIGAN_DATA is set to {chosen!r}, which is no folder; "
            "correct it or unset it."
        )
    return [folder, cache()]


def replace(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all, in place of the one that is there.

    Two processes may write the same file: each has a draft of its own.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.write_bytes(content)
    return draft.replace(path)
