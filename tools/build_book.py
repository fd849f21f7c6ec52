"""Execute the chapters that need it and build the HTML book.

    python tools/build_book.py                  the whole book, into _build/html
    python tools/build_book.py --into FOLDER    the same, into FOLDER/_build/html
    python tools/build_book.py --page PAGE      one page, to look at while writing

Jupyter's cache knows a chapter by its code cells alone. What a chapter also depends on
- the library, the profile, the data set, the feature networks, the papers' tables, the
installed versions, the records it names - is compared here with what it was at the
last build, and the chapters concerned are dropped from the cache.
"""

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import assets
import execute
import yaml
from jupyter_cache import get_cache

ROOT = Path(__file__).resolve().parent.parent
LAYOUT = ["_config.yml", "_toc.yml", "book/references.bib", "tools", "book/_static"]
LISTS_ALL = "results.names("  # a page with this shows every record there is
STRICT = ["-W", "-n", "--keep-going"]


def toc_pages() -> list[Path]:
    """Return the files of the table of contents, in reading order."""

    def entries(node: object) -> Iterable[str]:
        if isinstance(node, dict):
            yield from (node[key] for key in ("root", "file") if key in node)
            for value in node.values():
                yield from entries(value)
        elif isinstance(node, list):
            for value in node:
                yield from entries(value)

    stems = entries(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    return [
        path
        for stem in stems
        for path in (ROOT / f"{stem}{suffix}" for suffix in (".ipynb", ".md"))
        if path.exists()
    ]


def is_executed(page: Path) -> bool:
    """Tell whether a page has code to run: a notebook, or Markdown with a kernel."""
    return page.suffix == ".ipynb" or "\nkernelspec:" in page.read_text()[:1000]


def digest(paths: Iterable[Path], *words: str) -> str:
    """Return a hash of files (folders: all that is in them) and of some words."""
    found = hashlib.sha256("\n".join(words).encode())
    for path in paths:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.suffix != ".pyc" and "vendor" not in file.parts:
                found.update(str(file.relative_to(ROOT)).encode())
                found.update(file.read_bytes())
    return found.hexdigest()


def profile() -> str:
    """Return the name of the profile that the chapters will run in."""
    code = "import multigan_lib; print(multigan_lib.profile().name)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    if answer.returncode:
        sys.exit(f"multigan: {answer.stderr.strip().splitlines()[-1]}")
    return answer.stdout.strip()


def dependencies(pages: list[Path], profile: str) -> dict[str, str]:
    """Return a hash of what each page's results depend on, its own code aside."""
    versions = [f"{name} {version(name)}" for name in ("torch", "numpy", "matplotlib")]
    shared = digest(
        [ROOT / "multigan_lib", ROOT / "data/features", ROOT / "data/published"],
        profile,
        os.environ.get("MULTIGAN_DATASET", ""),
        platform.python_version(),
        *versions,
    )
    records = sorted((ROOT / "data/results").glob("*.*"))
    found = {}
    for page in pages:
        text = page.read_text()
        named = [
            file
            for file in records
            if LISTS_ALL in text or re.search(rf"\b{re.escape(file.stem)}\b", text)
        ]
        found[str(page.relative_to(ROOT))] = digest(named, shared)
    return found


def forget(cache_folder: Path, pages: Iterable[str]) -> None:
    """Drop pages from Jupyter's cache, so that the build executes them again."""
    cache = get_cache(cache_folder)
    stale = {str(ROOT / page) for page in pages}
    for record in cache.list_cache_records():
        if record.uri in stale:
            cache.remove_cache(record.pk)


def execution_seconds(cache_folder: Path) -> dict[str, tuple[float, float]]:
    """Return for each executed page how long it took and when that was."""
    newest: dict[str, tuple[float, float]] = {}
    for record in get_cache(cache_folder).list_cache_records():
        seconds = record.data.get("execution_seconds")
        when = record.created.timestamp()
        if seconds is not None and when > newest.get(record.uri, (0, 0))[1]:
            newest[record.uri] = (seconds, when)
    return newest


def execute_chapters(cache_folder: Path, chapters: list[Path], profile: str) -> bool:
    """Execute the notebooks that are not cached; tell whether all went well."""
    workers = 1 if profile == "gpu" else execute.cores()
    notebooks = [page for page in chapters if page.suffix == ".ipynb"]
    well = True
    for page, seconds, error in execute.execute(cache_folder, notebooks, workers):
        name = page.relative_to(ROOT)
        end = "Executed" if error is None else "Failed"
        print(f"{end}: {name}, {seconds:.0f} s", flush=True)
        if error is not None:
            print(error, file=sys.stderr)
            well = False
    return well


def jupyter_book(into: Path, *options: str) -> int:
    """Run Jupyter Book with warnings as errors and return its exit status."""
    environment = dict(os.environ)
    paths = [str(ROOT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    environment["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}" + os.environ["PATH"]
    )
    program = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*program, "build", *options, "--path-output", str(into)]
    return subprocess.run([*command, str(ROOT)], env=environment).returncode


def build(into: Path, page: Path | None = None) -> int:
    """Bring the book (or a preview of one page) in `into`/_build up to date."""
    start = time.time()
    build_folder = into / "_build"
    cache_folder = build_folder / ".jupyter_cache"
    state_file = build_folder / "state.json"
    index = build_folder / "html" / "index.html"
    build_folder.mkdir(parents=True, exist_ok=True)

    trouble = assets.fetch()
    if trouble:
        print(
            "MathJax and the widgets' scripts could not be fetched, so the pages will "
            f"load them from the network ({trouble})."
        )
    chapters = [page] if page else [path for path in toc_pages() if is_executed(path)]
    name = profile()
    now = {
        "pages": dependencies(chapters, name),
        "layout": digest([ROOT / path for path in LAYOUT], str(trouble)),
        "text": digest([ROOT / "book"]),
    }
    before = json.loads(state_file.read_text()) if state_file.exists() else {}
    if now != before or not index.exists():
        known = before.get("pages", {})
        stale = [path for path in now["pages"] if now["pages"][path] != known.get(path)]
        forget(cache_folder, stale)
        # Only a success puts the layout on file: Sphinx reports a warning only for the
        # pages that it reads, so after a failure it must read them all.
        state_file.write_text(json.dumps({"pages": now["pages"]}, indent=1))
        if not execute_chapters(cache_folder, chapters, name):
            return 1
        kept = now["layout"] == before.get("layout") and not stale
        options = STRICT if page is None else ["--toc", str(preview_toc(into, page))]
        status = jupyter_book(into, *options, *([] if kept else ["--all"]))
        if status:
            print(
                f"multigan: errors or warnings in the book ({name} profile), see above."
            )
            return status
        state_file.write_text(json.dumps(now, indent=1))

    print(f"\n{name} profile; seconds that each chapter took:")
    times = execution_seconds(cache_folder)
    for path in now["pages"]:
        seconds, when = times.get(str(ROOT / path), (0.0, 0.0))
        print(f"  {seconds:6.1f}  {path}{'' if when > start else '  (kept)'}")
    print(f"Done in {time.time() - start:.0f} s. Open {index}")
    return 0


def preview_toc(into: Path, page: Path) -> Path:
    """Write a table of contents with one page and the references it cites."""
    toc = into / "_build" / "preview.yml"
    root = page.relative_to(ROOT).with_suffix("")
    chapters = [{"file": "book/appendix/references"}]
    entries = {"format": "jb-book", "root": str(root), "chapters": chapters}
    toc.write_text(yaml.safe_dump(entries))
    return toc


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, metavar="FOLDER")
    parser.add_argument("--page", type=Path, metavar="PAGE")
    arguments = parser.parse_args()
    page = arguments.page and arguments.page.resolve()
    into = arguments.into or (ROOT / "_build" / "preview" if page else ROOT)
    sys.exit(build(into.resolve(), page))


if __name__ == "__main__":
    main()
