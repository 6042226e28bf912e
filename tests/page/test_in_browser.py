"""The page of a real report in a headless browser: it loads nothing, says nothing, sorts, explains its tags, prints."""

import contextlib

import pytest

from helpers import browser as pages

pytest.importorskip("matplotlib")
pytest.importorskip("flint")

from jaxsoftmax.cli import main as cli

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peers,
    pytest.mark.skipif(bool(pages.missing()), reason=pages.missing() or "a browser is there"),
]

HEAD = "width,\"len<script>document.title='broken'</script>\",kind"
PLACES = (
    (-0.4, 0.9),
    (0.7, -1.2),
    (0.1, 0.3),
    (-1.3, 0.2),
    (0.5, 1.1),
    (-0.2, -0.8),
    (1.2, 0.4),
    (-0.9, -0.5),
    (0.3, 0.8),
)
ROWS = [f"{x},{y},{kind}" for (x, y), kind in zip(PLACES, ("crow", "wren", "jay <b>") * 3, strict=True)]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    (folder / "birds.csv").write_text("\n".join([HEAD, *ROWS]), "utf-8")
    assert cli.run(["report", str(folder / "birds.csv"), "-o", str(folder / "report.html")]) == 0
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser():
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(pages.browser())
        except Exception as error:  # such as a sandbox in which no browser starts: then nothing is said of the page
            pytest.skip(f"no browser starts here: {error}")
        yield found


def test_no_fault_at_three_widths_light_or_dark(browser, path):
    """No word on the console, no request but for the file, nothing wider than the window, nothing found by axe-core."""
    assert pages.faults(browser, path) == []


def test_tables_and_pictures_are_seen(browser, path):
    with pages.opened(browser, path) as seen:
        assert seen.page.title() == "jaxsoftmax report: birds.csv", "a name was obeyed"
        sizes = seen.page.locator("figure svg").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
        assert len(sizes) == 7 and min(sizes) > 100  # ball, steps, seconds, confusion, spectrum, shares, intervals
        assert seen.page.locator("table").count() > 8
        assert seen.page.get_by_text("jay <b>").count() > 0


def column(page, place):
    bodies = page.locator("#d1-checks ~ .scroll tbody")
    return bodies.evaluate_all("(all, place) => all.map(body => body.rows[0].cells[place].textContent)", place)


def test_a_head_sorts_by_click_and_by_key(browser, path):
    with pages.opened(browser, path) as seen:
        before = column(seen.page, 3)
        head = seen.page.locator("#d1-checks ~ .scroll th", has_text="ratio")
        head.get_by_role("button").click()
        up = column(seen.page, 3)
        numbers = [float(text) for text in up if text]
        assert numbers == sorted(numbers) and up != before and sorted(up) == sorted(before)
        assert up[len(numbers) :] == [""] * (len(up) - len(numbers)), "what has no number stands last"
        assert head.get_attribute("aria-sort") == "ascending"
        head.get_by_role("button").focus()
        seen.page.keyboard.press("Enter")
        down = [float(text) for text in column(seen.page, 3) if text]
        assert down == numbers[::-1] and head.get_attribute("aria-sort") == "descending"


def settled(page):
    """What a scroll sets off is told in the frame after it."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_tag_says_its_statement_to_the_pointer_and_to_the_keyboard(browser, path):
    with pages.opened(browser, path, width=360) as seen:
        tip, tag = seen.page.locator("#tip"), seen.page.locator("a.tag", has_text="S2").first
        assert not tip.is_visible()
        tag.scroll_into_view_if_needed()
        settled(seen.page)
        tag.hover()
        assert "the gradient in closed form: ∇L(W)" in tip.inner_text()
        box = tip.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
        seen.page.mouse.move(0, 0)
        assert not tip.is_visible()
        seen.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        settled(seen.page)
        tag.focus()  # scrolls to it
        settled(seen.page)
        assert tip.is_visible() and 0 <= tip.bounding_box()["y"] <= 800
        seen.page.keyboard.press("Escape")
        assert not tip.is_visible()


def test_it_prints(browser, path):
    with pages.opened(browser, path, scheme="dark") as seen:
        assert seen.page.pdf(format="A4").startswith(b"%PDF-")
        seen.page.emulate_media(media="print")
        assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not seen.page.locator("nav").is_visible()
