"""The frame of a page: its head, its contents list, the sections, the statements that they cite; one file, no network.

The page's own policy lets it load nothing, and run no script but the one that it was made with.

Guarded by `tests/page/test_page.py`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from html import escape
from importlib import resources
from typing import NamedTuple

from jaxsoftmax.reporting.html import Look
from jaxsoftmax.reporting.statements import STATEMENTS
from jaxsoftmax.support.visible import visible

__all__ = ["LOOK", "PLAIN", "Section", "look_beside", "page", "plain"]


class Section(NamedTuple):
    """A part of the page.

    name: of its anchor, unlike every other one's.
    heading: as a text.
    level: of the heading, 2 or 3.
    body: HTML.
    """

    name: str
    heading: str
    level: int
    body: str


def plain(text: str) -> str:
    """A text as HTML in which nothing is markup.

    Example:
        >>> from jaxsoftmax.page.frame import plain
        >>> print(plain("a<b>"))
        a&lt;b&gt;
    """
    return escape(visible(text))


def _tagged(text: str, but: frozenset[str] = frozenset()) -> str:
    """`plain`, with every statement cited a link to what it says."""
    return _TAG.sub(lambda found: found[0] if found[0] in but else _link(found[0]), plain(text))


def _link(tag: str) -> str:
    if tag not in STATEMENTS:
        return tag
    return f'<a class="tag" href="#{tag}" aria-describedby="{tag}-says">{tag}</a>'


_TAG = re.compile(r"\bS\d{1,2}[a-e]?\b")
LOOK = Look(heading="h4", classes=True, table="wide", text=_tagged)
PLAIN = LOOK._replace(text=plain)  # for texts of which most are the user's names


def look_beside(names: Iterable[object]) -> Look:
    """`LOOK`, in which no statement is a link of which one of the user's names has the tag: it may be that name.

    Example:
        >>> from jaxsoftmax.page.frame import look_beside
        >>> look_beside(["S6 mini"]).text("S6")
        'S6'
    """
    return LOOK._replace(text=partial(_tagged, but=frozenset(_TAG.findall(" ".join(map(str, names))))))


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole page.

    Args:
        title: as a text.
        lead: HTML between the title and the contents.
        sections: in order.

    Example:
        >>> from jaxsoftmax.page.frame import Section, page
        >>> made = page("eggs", "<p>12 of them</p>", [Section("box", "The box", 2, "<p>full</p>")])
        >>> made.splitlines()[0], '<a href="#box">The box</a>' in made
        ('<!doctype html>', True)
    """
    style, script = _own("page.css"), _own("page.js")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{_fingerprint(script)}'"
    body = "\n".join(_section(each) for each in sections)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{plain(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            '<a class="skip" href="#contents">Skip to the contents</a>',
            "<header>",
            f"<h1>{plain(title)}</h1>",
            lead,
            "</header>",
            *_contents(sections),
            "<main>",
            body,
            *_statements(lead + body),
            "</main>",
            f"<script>{script}</script>",
            "</body>",
            "</html>\n",
        ]
    )


def _own(name: str) -> str:
    return (resources.files("jaxsoftmax.page") / name).read_text(encoding="utf-8")


def _fingerprint(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _contents(sections: Sequence[Section]) -> Iterator[str]:
    yield '<nav id="contents" aria-label="Contents"><ul>'
    for each in sections:
        strong = ("<strong>", "</strong>") if each.level == 2 else ("", "")
        yield f'<li>{strong[0]}<a href="#{each.name}">{plain(each.heading)}</a>{strong[1]}</li>'
    yield "</ul></nav>"


def _section(each: Section) -> str:
    heading = f'<h{each.level} id="{each.name}">{plain(each.heading)}</h{each.level}>'
    return f"<section>\n{heading}\n{each.body}\n</section>"


def _statements(text: str) -> Iterator[str]:
    """What the statements say that the page cites."""
    cited = {tag for tag in STATEMENTS if f'href="#{tag}"' in text}
    if cited:
        yield '<section>\n<h2 id="statements">The statements</h2>'
        yield '<p class="about">What the tags above stand for; docs/theory.md of the source has the proofs.</p>\n<dl>'
        for tag, statement in STATEMENTS.items():
            if tag in cited:
                yield f'<dt id="{tag}">{tag}</dt><dd id="{tag}-says">{plain(statement.line())}</dd>'
        yield "</dl>\n</section>"
