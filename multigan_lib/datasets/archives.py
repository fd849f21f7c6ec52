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
from pathlib import Path
from typing import IO, Any

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


def index(source: Path) -> dict[str, Any]:
    """The files in a folder or archive: path inside it → place, for `contents`.

    Hidden files are left out. An archive is read once from beginning to end.

    Raises:
        ValueError: the archive is damaged, holds a name twice, a link, or a path
            that leads outside it.
    """
    if source.is_dir():
        return dict.fromkeys(_walk(source))
    found: dict[str, Any] = {}
    with _readable(source):
        for name, place in (_zip_index if _is_zip(source) else _tar_index)(source):
            parts = name.replace("\\", "/").split("/")
            if name.startswith("/") or ".." in parts:
                raise ValueError(
                    f"{source} holds {name!r}, a path outside itself: {REPACK}"
                )
            name = "/".join(part for part in parts if part not in ("", "."))
            if name in found:
                raise ValueError(f"{source} holds {name} twice: {REPACK}")
            if not _hidden(name):
                found[name] = place
    return found


def contents(source: Path, places: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Paths and bytes of the files at `places`, in an order that is fast to read."""
    if source.is_dir():
        for name in sorted(places):
            yield name, (source / name).read_bytes()
        return
    with _readable(source):
        yield from (_zip_contents if _is_zip(source) else _tar_contents)(source, places)


def _walk(folder: Path) -> Iterator[str]:
    for root, _, files in os.walk(folder, followlinks=True):
        inside = Path(root).relative_to(folder).as_posix()
        for file in files:
            name = file if inside == "." else f"{inside}/{file}"
            if not _hidden(name):
                yield name


def _tar_index(source: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    with tarfile.open(source, tarinfo=_StrictTarInfo) as archive:
        for member in archive:
            if member.issym() or member.islnk():
                raise ValueError(
                    f"{source} holds {member.name}, which is a link and not a file: "
                    "pack it anew with tar --dereference --hard-dereference"
                )
            if member.isreg():
                yield member.name, (member.offset_data, member.size)
            # Else every header read so far is kept in memory.
            archive.members = []  # type: ignore[attr-defined]
        while _stream(archive).read(1 << 20):
            pass  # to the end, where gzip keeps its checksum


def _tar_contents(
    source: Path, places: dict[str, tuple[int, int]]
) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(source) as archive:
        stream = _stream(archive)
        for name in sorted(places, key=places.__getitem__):
            offset, size = places[name]
            stream.seek(offset)
            content = stream.read(size)
            if len(content) < size:
                raise EOFError(f"{name} ends early")
            yield name, content


def _stream(archive: tarfile.TarFile) -> IO[bytes]:
    """The bytes of a tar file, decompressed."""
    stream: Any = archive.fileobj
    return stream


def _zip_index(source: Path) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    with zipfile.ZipFile(source) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename, member


def _zip_contents(
    source: Path, places: dict[str, zipfile.ZipInfo]
) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(source) as archive:
        for name, member in places.items():
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


def _is_zip(source: Path) -> bool:
    return source.name.lower().endswith(".zip")


def _hidden(name: str) -> bool:
    """.DS_Store, macOS's "._" files and __MACOSX, Thumbs.db and other hidden files."""
    return f"/{name}".endswith("/Thumbs.db") or any(
        mark in f"/{name}" for mark in ("/.", "/__MACOSX/")
    )
