"""One document as text and as HTML: at most 80 columns, broken at words; a long name is kept whole."""

import pytest

from jaxsoftmax.reporting.blocks import Facts, Line, Paragraph, Picture, Table, Title
from jaxsoftmax.reporting.html import as_html
from jaxsoftmax.reporting.text import as_text, toned_lines

WORDS = "the weights keep growing and probably no minimiser exists " * 4
NAME = "/a/very/long/path/" + "folder/" * 15 + "file.csv"


def table(words):
    rows = [Line((words, "1.5e-09", "<= 2"), "bad", note=f"note: {words}"), Line(("short", "7", "= 7"))]
    return Table(("check", "found", "allowed"), rows, "<><")


@pytest.mark.parametrize("block", [Title(WORDS), Paragraph(WORDS), Facts([("label", WORDS), ("x", "y")]), table(WORDS)])
@pytest.mark.parametrize("width", [40, 60, 80])
def test_every_block_fits_and_breaks_at_words(block, width):
    text = as_text([block], width)
    assert max(map(len, text.splitlines())) <= width
    shown = text.split()
    for word in WORDS.split():
        assert word in shown


@pytest.mark.parametrize("block", [Title(NAME), Paragraph(f"see {NAME} here"), Facts([("file", NAME)]), table(NAME)])
def test_a_name_without_blanks_is_never_broken(block):
    lines = as_text([block]).splitlines()
    assert any(NAME in line for line in lines)
    assert all(len(line) <= 80 for line in lines if NAME not in line)


@pytest.mark.parametrize("name", ["petal-length/of—the.flower," * 9, "花瓣长度" * 30, "sepal length"])
def test_a_name_gets_no_blanks_of_its_own(name):
    """Hyphens, dashes, commas and letters of any script are no places to break at; a tab is one blank."""
    for block in (Title(name), Paragraph(name), Facts([("x", name)]), Facts([(name, "x")]), table(name)):
        assert name in as_text([block]), block
    assert "a b" in as_text([Paragraph("a\tb")])


def test_cells_keep_their_columns_beside_words_that_are_broken():
    lines = as_text([table("one two three four five six seven")], 48).splitlines()
    at = lines[0].index("allowed")
    assert [line[at : at + 4].strip() for line in lines if "<=" in line or "= 7" in line] == ["<= 2", "= 7"]


def test_columns_that_say_nothing_are_left_out():
    lines = as_text([Table(("check", "ratio", ""), [Line(("loss", "", "pass"))], "<><")]).splitlines()
    assert lines == ["  check", "  loss   pass"]


def test_titles_stand_apart_and_lines_carry_their_tone():
    document = [Title("iris"), Facts([]), Title("worse", "bad"), Picture(["█ 1"])]
    assert list(toned_lines(document)) == [("iris", "title"), ("", ""), ("worse", "bad"), ("  █ 1", "")]


def test_html_has_every_part_and_no_markup_of_the_texts():
    html = as_html([Title("a < b", "bad"), Paragraph("<i>"), Facts([("x&y", "z")]), table("q"), Picture(["1 < 2"])])
    for part in ("a &lt; b", "&lt;i&gt;", "x&amp;y", "note: q", "<pre>1 &lt; 2</pre>", 'colspan="3"'):
        assert part in html
    assert "<i>" not in html
