"""The built pages in a real browser, over http and from files, with no network."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

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
ROOT = Path(__file__).resolve().parent.parent.parent
CHAPTERS = sorted((ROOT / "book").glob("[0-9]_*/*.ipynb"))
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

    def note_failure(request):
        if request.failure != "net::ERR_ABORTED":  # the reader went on to another page
            failed.append(request.url)

    tab.on("request", note)
    tab.on("requestfailed", note_failure)
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


@pytest.mark.parametrize("chapter", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_a_chapter_works(page, address, chapter):
    page.goto(f"{address}/{chapter.relative_to(ROOT).with_suffix('.html')}")
    check_mathematics(page)
    check_sliders(page)
    check_animations(page)
    check_solutions(page)
    check_width(page, 1280)
    check_width(page, 390)


@pytest.mark.parametrize("name", ["intro", "howto", "appendix/notation"])
def test_other_pages_work(page, address, name):
    page.goto(f"{address}/book/{name}.html")
    if name == "appendix/notation":
        check_mathematics(page)
    check_width(page, 1280)
    check_width(page, 390)


def test_search_finds_pages(page, address):
    page.goto(f"{address}/search.html?q=discriminator")
    page.wait_for_selector("ul.search li a")
    page.locator("ul.search li a").first.click()
    page.wait_for_load_state()
    assert page.locator("article h1").count() >= 1


def check_mathematics(page):
    """Every formula has become MathJax's output, and none of it is an error."""
    page.wait_for_selector("mjx-container", state="attached")
    page.evaluate("MathJax.startup.promise.then(() => true)")
    left = page.eval_on_selector_all(
        ".math", "all => all.filter(m => !m.querySelector('mjx-container')).length"
    )
    assert left == 0, f"{left} formulas are not rendered"
    wrong = page.locator("mjx-merror, [data-mjx-error]").all_inner_texts()
    assert not wrong, f"formulas with errors: {wrong}"


def check_sliders(page):
    """A step to the right shows another picture, one at a time."""
    views = page.locator("script[type='application/vnd.jupyter.widget-view+json']")
    if views.count() == 0:
        return
    page.wait_for_selector(SLIDER)
    boxes = page.locator(".jupyter-widgets.widget-vbox").filter(
        has=page.locator(SLIDER)
    )
    assert boxes.count() >= 1
    for box in boxes.all():
        box.locator(PICTURES).first.wait_for(state="attached")
        before = visible_picture(box)
        handle = box.locator(".noUi-handle").first
        handle.focus()
        handle.press("ArrowRight")
        page.wait_for_timeout(200)
        assert visible_picture(box) != before, "the slider does not move the picture"


def visible_picture(box):
    """Return the data of the one picture that a slider's box shows now."""
    shown = [p for p in box.locator(PICTURES).all() if p.is_visible()]
    assert len(shown) == 1, f"{len(shown)} pictures are visible at once"
    return shown[0].get_attribute("src")


def check_animations(page):
    """The player of an animation goes from its first picture to its last."""
    for player in page.locator(".animation").all():
        slider = player.locator("input[type=range]")
        pictures = []
        for key in ("Home", "End"):
            slider.focus()
            slider.press(key)
            page.wait_for_timeout(200)
            pictures.append(player.locator("img").get_attribute("src"))
        assert pictures[0] and pictures[0] != pictures[1], "the animation stands still"


def check_solutions(page):
    """A solution is hidden until its button is clicked."""
    solution = page.locator("div.solution.dropdown").first
    content = solution.locator(":scope > :last-child")
    assert not content.is_visible()
    solution.locator(".toggle-button").click()
    content.wait_for(state="visible")


def check_width(page, width):
    """Nothing makes the page itself wider than the window."""
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(100)
    root = "document.documentElement"
    extra = page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
    assert extra <= 1, f"{extra} pixels too wide at {width}"
