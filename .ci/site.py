"""Hooks of `mkdocs build`: pages and files of the repository outside docs/ are shown too, each written only once.

The README is the site's first page. Any other file outside docs/ that a page links to, or that the navigation names, is
put under repository/, by its own path. Links are written as GitHub wants them, from file to file, and are turned here.
"""

import logging
import posixpath
import re
from pathlib import Path

import griffe
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
LOG = logging.getLogger("mkdocs.hooks.site")  # a warning here fails a strict build
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")
FENCE = re.compile(r"(^ *```.*?^ *```$)", re.M | re.S)
LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(https?:[^\s\">]+)|<link[^>]*\shref=\"?(https?:[^\s\">]+)"
)


class Examples(griffe.Extension):
    """The heading "Example:" of a docstring starts code that is shown as code, as griffe does for "Examples:"."""

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        """Change the heading in what griffe parses; the source stays as it is."""
        if obj.docstring:
            value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)
            obj.docstring.value = value.replace(":math:`", "`")


def uri_of(path: str) -> str | None:
    """Where the site shows a file or folder of the repository; None if there is none such."""
    if (ROOT / path).is_dir():
        path = posixpath.join(path, "README.md")
    if path == "README.md":
        return "index.md"
    if path.startswith("../") or not (ROOT / path).is_file():
        return None
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def path_of(uri: str) -> str:
    """The file of the repository that the site shows at `uri`."""
    if uri == "index.md":
        return "README.md"
    return uri.removeprefix("repository/") if uri.startswith("repository/") else f"docs/{uri}"


def linked(text: str, path: str) -> list[str]:
    """The places in the site of the files that the page `path` links to."""
    prose = FENCE.sub("", text)
    targets = (posixpath.normpath(posixpath.join(posixpath.dirname(path), found)) for found in LINK.findall(prose))
    return [uri for uri in map(uri_of, targets) if uri]


def on_files(files: Files, config) -> Files:
    """Add the README, and what the navigation and the pages lead to outside docs/."""
    todo = ["index.md", *re.findall(r"\brepository/\S+\.md", repr(config.nav).replace("'", " "))]
    todo += [file.src_uri for file in files if file.src_uri.endswith(".md")]
    seen = set()
    while todo:
        uri = todo.pop()
        if uri in seen:
            continue
        seen.add(uri)
        source = ROOT / path_of(uri)
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, abs_src_path=str(source)))
        if uri.endswith(".md"):
            todo += linked(source.read_text(encoding="utf-8"), path_of(uri))
    return files


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Turn the links from file to file into links from page to page."""
    uri = page.file.src_uri
    here = posixpath.dirname(path_of(uri))

    def turn(match: re.Match) -> str:
        there = uri_of(posixpath.normpath(posixpath.join(here, match[1])))
        return posixpath.relpath(there, posixpath.dirname(uri) or ".") if there else match[1]

    parts = FENCE.split(markdown)
    return "".join(part if part.lstrip().startswith("```") else LINK.sub(turn, part) for part in parts)


def on_post_page(output: str, page, config) -> str:
    """Nothing is loaded from elsewhere when a page is read; code wider than the page is reached by keyboard."""
    for found in LOADED.finditer(output):
        LOG.warning("%s loads %s", page.file.src_uri, found[1] or found[2])
    return re.sub(r"<pre(?=[ >])", '<pre tabindex="0"', output)
