"""The page of `jaxsoftmax report` for the packaged data: its seconds beside those of `verify`, bytes, how it opens."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
import time
from typing import Any

from benchmarks import harness

MOST_BYTES, MOST_SECONDS, MOST_OPENING = 2e6, 5.0, 1.0


def run(options: Any) -> dict[str, Any]:
    from jaxsoftmax.verification.inputs import prepare
    from jaxsoftmax.verification.run import verify_prepared

    prepared = prepare()
    began = time.perf_counter()
    report = verify_prepared(prepared)
    verified = time.perf_counter() - began

    began = time.perf_counter()  # with what is imported and compiled for the page alone
    from jaxsoftmax.page.make import extras, report_page

    text = report_page(report, extras(report, prepared), prepared, [])
    drawn = time.perf_counter() - began
    opening = _opening(text, min(options.repeats, 9))
    targets = [
        harness.target("bytes of the page", len(text.encode()), MOST_BYTES),
        harness.target("seconds that the page adds to verify", drawn, MOST_SECONDS),
    ]
    if opening:
        median = sorted(opening)[len(opening) // 2]
        targets.append(harness.target("seconds until it is loaded in headless Chromium, median", median, MOST_OPENING))
    return {"verify_seconds": verified, "page_seconds": drawn, "opening_seconds": opening, "targets": targets}


def _opening(text: str, repeats: int) -> list[float]:
    """Seconds from the navigation to the end of the load event; none without the extra `browser` and a Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return []
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        return []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as tool:
        path = pathlib.Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        browser = tool.chromium.launch(executable_path=program)
        seconds = []
        for _ in range(repeats):
            page = browser.new_page()
            page.goto(path.as_uri())
            seconds.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000)
            page.close()
        browser.close()
        return seconds
