"""Files in a folder or an archive, read in memory: nothing is ever extracted."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")


def is_archive(path: Path) -> bool:
    """Whether the name ends as an archive's: .tar, .tar.gz, .tgz or .zip."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """The name without an archive's suffix."""
    return re.sub(r"\.(tar\.gz|tgz|tar|zip)$", "", path.name, flags=re.IGNORECASE)


def fingerprint(source: Path) -> str:
    """Changes when a file in the folder, or the archive, changes."""
    digest = hashlib.sha256()
    for name in sorted(names(source)) if source.is_dir() else [""]:
        stat = (source / name).stat()
        digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def names(source: Path) -> list[str]:
    """The paths of the files in a folder or archive, without hidden ones.

    Raises:
        ValueError: the archive is damaged.
    """
    with _readable(source):
        return [name for name, _ in _files(source)]


def contents(source: Path, wanted: Container[str]) -> Iterator[tuple[str, bytes]]:
    """Paths and bytes of the `wanted` files, in an order that is fast to read."""
    with _readable(source):
        for name, read in _files(source):
            if name in wanted:
                yield name, read()


def _files(source: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if source.is_dir():
        members = _in_folder(source)
    else:
        is_zip = source.name.lower().endswith(".zip")
        members = (_in_zip if is_zip else _in_tar)(source)
    for name, read in members:
        parts = PurePosixPath(name).parts
        if not any(p.startswith(".") or p in ("__MACOSX", "Thumbs.db") for p in parts):
            yield "/".join(parts), read


def _in_folder(folder: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for root, _, files in os.walk(folder, followlinks=True):
        for file in files:
            path = Path(root, file)
            yield path.relative_to(folder).as_posix(), path.read_bytes


def _in_zip(source: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename, partial(archive.read, member)


def _in_tar(source: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    with tarfile.open(source) as archive:
        stream: Any = archive.fileobj

        def read(member: tarfile.TarInfo) -> bytes:
            stream.seek(member.offset_data)
            return stream.read(member.size)

        for member in archive:
            if member.isreg():
                yield member.name, partial(read, member)
            elif not member.isdir():
                raise ValueError(
                    f"{source} holds {member.name}, which is a link: pack it anew with "
                    "tar --dereference --hard-dereference"
                )
            # Else every header read so far is kept in memory.
            archive.members = []  # type: ignore[attr-defined]
        # tarfile takes a damaged or missing header for the end.
        stream.seek(archive.offset)
        if stream.read(512) != bytes(512):
            raise tarfile.ReadError("its end is missing")
        while stream.read(1 << 20):
            pass  # to the end, where gzip keeps its checksum


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        gzip.BadGzipFile,
        zlib.error,
        EOFError,
    ) as error:
        raise ValueError(
            f"{source} is truncated or corrupted ({error}): get the archive again, or "
            "pack it anew"
        ) from error
