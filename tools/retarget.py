"""Move the project to another address: change it in every file that names it.

    make retarget URL=https://github.com/you/your-fork

The address in force stands in `_config.yml` (repository: url). Badges and Colab links
name only its last two parts (owner/repository), so those are changed as well.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORM = re.compile(r"https://[\w.-]+(?:/[\w.-]+)+")


def current(root: Path) -> str:
    """Return the address that `_config.yml` states."""
    (address,) = re.findall(r"^  url: (\S+)$", (root / "_config.yml").read_text(), re.M)
    return address


def path_of(address: str) -> str:
    """Return owner/repository of an address."""
    return "/".join(address.split("/")[3:])


def retarget(root: Path, new: str) -> list[str]:
    """Change the address in all text files under version control; return which."""
    new = new.rstrip("/").removesuffix(".git")
    if not FORM.fullmatch(new):
        raise ValueError(
            f"{new!r} is not the address of a repository; "
            "give it as URL=https://github.com/owner/name"
        )
    old = current(root)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    changed = []
    for name in filter(None, listed):
        file = root / name
        try:
            text = file.read_bytes().decode()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        moved = re.sub(rf"{re.escape(old)}(?![\w-])", new, text)
        moved = re.sub(
            rf"(?<![\w.-]){re.escape(path_of(old))}(?![\w-])", path_of(new), moved
        )
        if moved != text:
            file.write_bytes(moved.encode())
            changed.append(name)
    return changed


if __name__ == "__main__":
    try:
        files = retarget(ROOT, sys.argv[1] if len(sys.argv) > 1 else "")
    except ValueError as error:
        sys.exit(f"multigan: {error}")
    print("\n".join([*files, f"changed {len(files)} files"]))
