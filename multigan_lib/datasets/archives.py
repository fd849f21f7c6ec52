"""Files in a folder or an archive, read in memory: nothing is ever extracted."""

from __future__ import annotations

import hashlib
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
REPACK = "get the archive again, or pack it anew"


def is_archive(path: Path) -> bool:
    """Whether the name ends as an archive's: .tar, .tar.gz, .tgz or .zip."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """The name without an archive's suffix."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def fingerprint(source: Path) -> str:
    """Changes when a file in the folder, or the archive, changes."""
    if not source.is_dir():
        stat = source.stat()
        return f"{stat.st_size} {stat.st_mtime_ns}"
    digest = hashlib.sha256()
    for name in sorted(_walk(source)):
        stat = (source / name).stat()
        digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def names(source: Path) -> list[str]:
    """The files' paths inside a folder or archive, hidden files left out.

    Raises:
        ValueError: the archive is damaged, holds a name twice, a link, or a path
            that leads outside it.
    """
    found = [name for name, _ in _files(source, wanted=None)]
    seen: set[str] = set()
    for name in found:
        if name in seen:
            raise ValueError(f"{source} holds {name} twice: pack it anew without one")
        seen.add(name)
    return found


def contents(source: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """The wanted files' paths and bytes, in the source's own order."""
    yield from _files(source, wanted)


def _files(source: Path, wanted: set[str] | None) -> Iterator[tuple[str, bytes]]:
    """Paths and bytes; bytes are empty where `wanted` is None."""
    if source.is_dir():
        for name in sorted(_walk(source)) if wanted is None else sorted(wanted):
            yield name, b"" if wanted is None else (source / name).read_bytes()
        return
    reader = _zip_files if source.name.lower().endswith(".zip") else _tar_files
    with _readable(source):
        yield from reader(source, wanted)


def _walk(folder: Path) -> Iterator[str]:
    for root, _, files in os.walk(folder, followlinks=True):
        for file in files:
            name = Path(root, file).relative_to(folder).as_posix()
            if not _hidden(name):
                yield name


def _tar_files(source: Path, wanted: set[str] | None) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(source, tarinfo=_StrictTarInfo) as archive:
        for member in archive:
            name = _inside(source, member.name)
            if member.isdir() or _hidden(name):
                continue
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise ValueError(
                    f"{source} holds {name}, which is a link and not a file: pack it "
                    "anew with tar --dereference --hard-dereference"
                )
            if wanted is None:
                yield name, b""
            elif name in wanted:
                yield name, file.read()
            archive.members = []  # else every header read so far is kept in memory


def _zip_files(source: Path, wanted: set[str] | None) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            name = _inside(source, member.filename)
            if member.is_dir() or _hidden(name):
                continue
            if wanted is None:
                yield name, b""
            elif name in wanted:
                yield name, archive.read(member)


class _StrictTarInfo(tarfile.TarInfo):
    """Raises where tarfile takes a damaged or missing header for the end."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictTarInfo:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from error


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        NotImplementedError,
        RuntimeError,  # zipfile: a password is needed
        OSError,  # gzip: not a gzipped file, checksum failed
    ) as error:
        raise ValueError(
            f"{source} is truncated or corrupted ({error}): {REPACK}"
        ) from error


def _inside(source: Path, name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{source} holds {name!r}, a path outside itself: {REPACK}")
    return path.as_posix()


def _hidden(name: str) -> bool:
    """.DS_Store, macOS's "._" files and __MACOSX, Thumbs.db and other hidden files."""
    parts = PurePosixPath(name).parts
    return parts[-1:] == ("Thumbs.db",) or any(
        part.startswith(".") or part == "__MACOSX" for part in parts
    )
