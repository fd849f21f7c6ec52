"""Execute notebooks, several at a time, into Jupyter's cache.

Jupyter Book would execute them one after the other; small games keep one core busy, so
that on two cores half of the time can be saved.
"""

import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_cached(cache, page: Path) -> bool:
    """Tell whether the cache has the outputs of a notebook's code cells."""
    try:
        cache.match_cache_notebook(nbformat.read(page, as_version=4))
    except KeyError:
        return False
    return True


def execute(
    cache_folder: Path, pages: list[Path], workers: int
) -> Iterator[tuple[Path, float, str | None]]:
    """Execute the notebooks that the cache does not have.

    Args:
        cache_folder: where Jupyter's cache is, or will be.
        pages: notebooks (.ipynb).
        workers: how many run at a time. Each gets its share of the cores, as threads:
            more threads than cores can slow a step a hundredfold.

    Yields:
        For each notebook, as it ends: its path, its seconds, and what went wrong
        (None if nothing did). Only what went well is put into the cache.
    """
    cache = get_cache(cache_folder)
    pages = [page for page in pages if not is_cached(cache, page)]
    workers = max(1, min(workers, len(pages)))
    threads = str(max(1, cores() // workers))
    with ProcessPoolExecutor(workers, initializer=start, initargs=(threads,)) as pool:
        runs = {pool.submit(run, page): page for page in pages}
        for done in as_completed(runs):
            notebook, seconds, error = done.result()
            page = runs[done]
            if error is None:
                bundle = CacheBundleIn(
                    notebook, str(page), data={"execution_seconds": seconds}
                )
                cache.cache_notebook_bundle(
                    bundle, check_validity=False, overwrite=True
                )
            yield page, seconds, error


def start(threads: str) -> None:
    """Set a worker's number of threads; the kernels it starts inherit it."""
    threads = os.environ.get("OMP_NUM_THREADS", threads)
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ.setdefault(f"{library}_NUM_THREADS", threads)


def run(
    page: Path, attempts: int = 3
) -> tuple[nbformat.NotebookNode, float, str | None]:
    """Execute one notebook in its own folder.

    A kernel that cannot start is started again: another program may have taken one of
    its ports between their choice and their use.
    """
    notebook = nbformat.read(page, as_version=4)
    try:
        result = single_nb_execution(
            notebook, cwd=str(page.parent), timeout=3600, allow_errors=False
        )
    except RuntimeError as error:
        if attempts == 1 or "before replying" not in str(error):
            raise
        return run(page, attempts - 1)
    error = COLOURS.sub("", result.exc_string or "") if result.err else None
    return notebook, result.time, error
