"""The built pages in a real browser, over http and from files, with no network."""

import functools
import http.server
import os
import shutil
import threading

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SLIDER = ".widget-slider"
PICTURES = "img[src^='data:image/png']"


@pytest.fixture(scope="module")
def browser():
    """A browser that is on this machine; its own look-ups are switched off."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(NAMES)})")
    sync_api = pytest.importorskip("playwright.sync_api")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program, args=[*QUIET, *root]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def server(html):
    """The address of the pages, served on this machine."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{service.server_port}"
        service.shutdown()


@pytest.fixture(params=["http", "file"])
def address(request, html):
    """Where the pages are: served, or opened as files."""
    if request.param == "file":
        return html.as_uri()
    return request.getfixturevalue("server")


@pytest.fixture
def page(browser, address):
    """An empty tab; at the end nothing may have failed or gone to the network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(30_000)
    outside, failed, errors = [], [], []

    def note(request):
        if not request.url.startswith((address, "data:", "blob:", "about:")):
            outside.append(request.url)

    tab.on("request", note)
    tab.on("requestfailed", lambda request: failed.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("response", lambda r: r.status >= 400 and failed.append(r.url))
    yield tab
    context.close()
    if address.startswith("file:"):
        # A search result's summary cannot be fetched from a file; the result is shown.
        errors = [error for error in errors if error != "Failed to fetch"]
        failed = [url for url in failed if not url.endswith(".html")]
    assert not outside, f"went to the network: {outside}"
    assert not errors, f"errors in scripts: {errors}"
    assert not failed, f"failed requests: {failed}"


@pytest.fixture(scope="module")
def chapters(html, repository):
    """The chapters' pages, as paths relative to the book's root."""
    sources = sorted((repository / "book").glob("[0-9]_*/*.ipynb"))
    return [str(path.relative_to(repository).with_suffix(".html")) for path in sources]


def test_mathematics_is_rendered(page, address, chapters):
    for chapter in [*chapters, "book/appendix/notation.html"]:
        page.goto(f"{address}/{chapter}")
        page.wait_for_selector("mjx-container")
        page.wait_for_function("MathJax.startup.promise.then(() => true)")
        left = page.eval_on_selector_all(
            ".math", "all => all.filter(m => !m.querySelector('mjx-container')).length"
        )
        assert left == 0, f"{left} formulas of {chapter} are not rendered"
        wrong = page.locator("mjx-merror, [data-mjx-error]").all_inner_texts()
        assert not wrong, f"{chapter}: {wrong}"


def test_search_finds_pages(page, address):
    page.goto(f"{address}/search.html?q=discriminator")
    page.wait_for_selector("ul.search li a")
    found = page.locator("ul.search li a").all_inner_texts()
    assert found, "nothing was found"
    page.locator("ul.search li a").first.click()
    page.wait_for_load_state()
    assert page.locator("article h1").count() >= 1


def visible_picture(page, widget):
    """Return the data of the picture that a widget shows now."""
    pictures = widget.locator(PICTURES)
    shown = [p for p in pictures.all() if p.is_visible()]
    assert len(shown) == 1, f"{len(shown)} pictures are visible at once"
    return shown[0].get_attribute("src")


def test_sliders_change_the_picture(page, address, html, chapters):
    with_sliders = [
        chapter
        for chapter in chapters
        if "application/vnd.jupyter.widget-view+json" in (html / chapter).read_text()
    ]
    if not with_sliders:
        pytest.skip("no chapter has a slider")
    for chapter in with_sliders:
        page.goto(f"{address}/{chapter}")
        page.wait_for_selector(SLIDER)
        boxes = page.locator(".jupyter-widgets.widget-vbox").filter(
            has=page.locator(SLIDER)
        )
        for box in boxes.all():
            box.locator(PICTURES).first.wait_for(state="attached")
            before = visible_picture(page, box)
            handle = box.locator(".noUi-handle").first
            handle.focus()
            handle.press("ArrowRight")
            page.wait_for_timeout(200)
            assert visible_picture(page, box) != before, f"{chapter}: nothing moved"


def test_animations_play(page, address, html, chapters):
    animated = [c for c in chapters if 'id="_anim' in (html / c).read_text()]
    if not animated:
        pytest.skip("no chapter has an animation")
    for chapter in animated:
        page.goto(f"{address}/{chapter}")
        player = page.locator(".animation").first
        picture = player.locator("img")
        before = picture.get_attribute("src")
        slider = player.locator("input[type=range]")
        slider.focus()
        slider.press("Home")
        slider.press("End")
        page.wait_for_timeout(200)
        last = picture.get_attribute("src")
        slider.press("Home")
        page.wait_for_timeout(200)
        first = picture.get_attribute("src")
        assert before and first != last, f"{chapter}: the animation does not move"


def test_solutions_open_with_a_click(page, address, chapters):
    for chapter in chapters:
        page.goto(f"{address}/{chapter}")
        solution = page.locator("div.solution.dropdown").first
        content = solution.locator("p").last
        assert not content.is_visible()
        solution.locator(".toggle-button").click()
        content.wait_for(state="visible")


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_fit_the_window(page, address, chapters, width):
    page.set_viewport_size({"width": width, "height": 900})
    too_wide = {}
    for chapter in ["book/intro.html", "book/howto.html", *chapters]:
        page.goto(f"{address}/{chapter}")
        page.evaluate("window.MathJax && MathJax.startup.promise.then(() => true)")
        root = "document.documentElement"
        extra = page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
        if extra > 1:
            too_wide[chapter] = extra
    assert not too_wide, f"pixels too wide at {width}: {too_wide}"
