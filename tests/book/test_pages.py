"""The built pages: alternative text, links, nothing from the network, no errors."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup

FILE_NAME = re.compile(r"[\w./-]*\.(png|svg|jpe?g|gif)|[0-9a-f]{16,}", re.IGNORECASE)


@pytest.fixture(scope="module")
def pages(html) -> dict[Path, BeautifulSoup]:
    """Every page, parsed."""
    files = [
        path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts
    ]
    return {path: BeautifulSoup(path.read_text(), "html.parser") for path in files}


@pytest.fixture(scope="module")
def chapters(html, pages) -> dict[str, BeautifulSoup]:
    """The chapters' pages, by name."""
    return {
        path.stem: page
        for path, page in pages.items()
        if re.match(r"\d_", path.parent.name) and path.is_relative_to(html / "book")
    }


def widget_images(page: BeautifulSoup) -> list:
    """Return the images inside a page's widgets, which scripts put in place later."""
    found = []
    for script in page.find_all(
        "script", type="application/vnd.jupyter.widget-state+json"
    ):
        for widget in json.loads(script.string)["state"].values():
            value = widget["state"].get("value")
            if widget["model_name"] == "ImageModel":
                found.append(BeautifulSoup("<img>", "html.parser").img)
            if isinstance(value, str) and "<img" in value:
                found += BeautifulSoup(value, "html.parser").find_all("img")
    return found


def test_every_entry_of_the_table_of_contents_is_a_page(html, repository):
    toc = (repository / "_toc.yml").read_text()
    for entry in re.findall(r"(?:file|root): (\S+)", toc):
        assert (html / f"{entry}.html").is_file(), entry


def test_every_image_has_alternative_text(pages, chapters):
    for path, page in pages.items():
        for image in [*page.find_all("img"), *widget_images(page)]:
            alt = (image.get("alt") or "").strip()
            about = f"{path.name}: {str(image)[:150]}"
            assert alt, f"no alternative text in {about}"
            assert not FILE_NAME.fullmatch(alt), f"a file's name is no text: {about}"
    for name, page in chapters.items():
        images = [*page.select("article img"), *widget_images(page)]
        assert images, f"{name} has no figure"
        assert all(len(image["alt"].split()) >= 3 for image in images), name


def test_links_lead_somewhere(html, pages):
    anchors = {
        path.resolve(): {tag["id"] for tag in page.find_all(id=True)}
        for path, page in pages.items()
    }
    broken = []
    for path, page in pages.items():
        if path.name in ("genindex.html", "search.html"):
            continue
        for tag in page.find_all(href=True):
            link = urlsplit(tag["href"])
            if link.scheme or link.netloc:
                if link.scheme not in ("https", "mailto"):
                    broken.append((path.name, tag["href"]))
                continue
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            fragment = unquote(link.fragment)
            missing = not target.exists()
            lost = fragment and fragment not in anchors.get(
                target.resolve(), {fragment}
            )
            if missing or lost:
                broken.append((path.name, tag["href"]))
    assert not broken


def test_nothing_is_loaded_from_the_network(html, pages):
    if not (html / "_static" / "vendor").exists():
        pytest.skip("the scripts for offline use could not be fetched on this machine")
    for path, page in pages.items():
        tags = page.find_all(["script", "img", "iframe", "source"], src=True)
        sources = [tag["src"] for tag in tags]
        sources += [
            tag["href"]
            for tag in page.find_all("link", href=True)
            if {"stylesheet", "icon", "preload"} & set(tag.get("rel", []))
        ]
        outside = [source for source in sources if urlsplit(source).netloc]
        assert not outside, (path.name, outside)


def test_local_scripts_and_styles_exist(pages):
    for path, page in pages.items():
        for tag in page.find_all("script", src=True):
            source = urlsplit(tag["src"])
            if not source.netloc and source.scheme != "data":
                assert (path.parent / unquote(source.path)).is_file(), (
                    path,
                    tag["src"],
                )


def test_no_page_shows_an_error_or_a_path_of_this_machine(pages, repository):
    for path, page in pages.items():
        assert not page.select(".output.traceback, .system-message"), path.name
        assert str(repository) not in page.get_text(), path.name


def test_chapters_open_on_colab_and_binder(chapters, repository):
    config = yaml.safe_load((repository / "_config.yml").read_text())
    owner = "/".join(config["repository"]["url"].split("/")[3:])
    for name, page in chapters.items():
        links = [tag["href"] for tag in page.find_all("a", href=True)]
        for site in ("https://colab.research.google.com", "https://mybinder.org"):
            buttons = [link for link in links if link.startswith(site)]
            assert any(owner in link and f"{name}.ipynb" in link for link in buttons)


def test_theorems_and_equations_are_numbered(chapters):
    for name, page in chapters.items():
        theorems = page.select("div.theorem, div.proposition, div.lemma")
        titles = [theorem.find(class_="caption-number") for theorem in theorems]
        assert theorems and all(title and title.get_text() for title in titles), name
        assert page.select(".eqno"), f"{name} has no numbered equation"


def test_the_library_page_has_every_public_name(html, pages):
    import multigan_lib as mg

    page = pages[html / "book" / "appendix" / "api.html"]
    ids = {tag["id"].rsplit(".", 1)[-1] for tag in page.find_all(id=True)}
    for module in (mg.data, mg.games, mg.metrics, mg.nets, mg.figures):
        for name in module.__all__:
            if callable(getattr(module, name)):
                assert name in ids, f"{module.__name__}.{name}"
