"""Pages in a real browser: what they load, what their console says, what axe-core finds wrong with them.

    python tests/helpers/browser.py PAGE.html...

prints the faults of each page and exits with 1 where there are some. Needs the extra `browser` and a Chromium on the
path, such as Debian's package of that name.
"""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("chromium", "chromium-browser", "google-chrome")
LOOKS = ((360, "light"), (768, "light"), (1280, "dark"))  # a telephone, a tablet, a desk


class Opened(NamedTuple):
    """A page that was opened, what it asked for beside itself, and what it said on the console."""

    page: Any
    requests: list[str]
    console: list[str]


def missing() -> str:
    """Why no page can be opened here; "" where one can."""
    try:
        import axe_playwright_python  # noqa: F401  # pyright: ignore[reportMissingImports]
        import playwright  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        return f"{error.name} is not installed: pip install 'jaxsoftmax[browser]'"
    return "" if chromium() else f"no browser is on the path: none of {', '.join(NAMES)}"


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    with sync_playwright() as tool:
        found = tool.chromium.launch(executable_path=chromium())
        try:
            yield found
        finally:
            found.close()


@contextlib.contextmanager
def opened(found: Any, path: Path, width: int = 1280, scheme: str = "light") -> Iterator[Opened]:
    """The page of a file, without a network."""
    context = found.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    requests, console = [], []
    try:
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: console.append(f"error: {error}"))
        page.goto(path.resolve().as_uri())
        requests.remove(path.resolve().as_uri())
        yield Opened(page, requests, console)
    finally:
        context.close()


def axe(page: Any) -> list[str]:
    """What axe-core finds wrong, a line for each rule that is broken."""
    from axe_playwright_python.sync_playwright import Axe  # pyright: ignore[reportMissingImports]

    found = Axe().run(page).response["violations"]
    return [f"{each['id']} ({each['impact']}): {each['help']}: {each['nodes'][0]['html']:.120}" for each in found]


def overflow(page: Any) -> str:
    """What makes the page wider than the window."""
    width, room = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return f"{width} px wide in a window of {room} px" if width > room else ""


def faults(found: Any, path: Path) -> list[str]:
    """Everything wrong with the page of a file, in each of the looks."""
    lines = []
    for width, scheme in LOOKS:
        with opened(found, path, width, scheme) as seen:
            wrong = [*seen.console, *(f"asks for {url:.100}" for url in seen.requests), overflow(seen.page)]
            lines += [f"{width} px, {scheme}: {text}" for text in [*wrong, *axe(seen.page)] if text]
    return lines


def main(names: list[str]) -> int:
    reason = missing()
    if reason or not names:
        sys.stderr.write(f"{reason or __doc__}\n")
        return 2
    status = 0
    with browser() as found:
        for name in names:
            wrong = faults(found, Path(name))
            sys.stdout.write("".join(f"{name}: {line}\n" for line in wrong or ["no fault"]))
            status = max(status, int(bool(wrong)))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
