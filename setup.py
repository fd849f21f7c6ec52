"""Ship the records, the papers' tables and the feature networks in the package.

They live in `data/`, beside the library; in a wheel they are `multigan_lib/assets/`.
"""

from pathlib import Path

from setuptools import find_packages, setup

KINDS = ("features", "published", "results")
folders = {
    f"multigan_lib.assets.{kind}": f"data/{kind}"
    for kind in KINDS
    if Path("data", kind).is_dir()
}

setup(
    packages=[*find_packages(include=["multigan_lib*"]), *folders],
    package_dir=folders,
    package_data={folder: ["*"] for folder in folders},
)
