"""The page of a report: sound HTML that loads nothing, every part of the report, names shown and not obeyed."""

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("flint")

import jaxsoftmax as js
from helpers.made_report import CHECKS, HOSTILE, made_report, made_separated_report
from jaxsoftmax.page.frame import plain
from jaxsoftmax.page.make import extras, report_page
from jaxsoftmax.page.pictures import MOST_TILES, image_shape, separation, training, weights
from jaxsoftmax.page.sections import Extra
from jaxsoftmax.reporting.blocks import Paragraph, Picture
from jaxsoftmax.reporting.row import rows_table
from jaxsoftmax.uncertainty.table import Inference
from jaxsoftmax.verification.report import DatasetReport

pytestmark = pytest.mark.peers
AGAIN = [Paragraph("do it again"), Picture(["jaxsoftmax verify 'a<b>.csv'"])]
REFUSED = set("\x00\udc80")  # in a label
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Parsed(HTMLParser):
    """The elements with their attributes, the texts inside them, and what is wrong with the nesting."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.elements, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        self.wrong += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes another element")

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    def values(self, *names):
        return [attributes[name] for _, attributes in self.elements for name in names if name in attributes]


def made(report, prepared, table="none was made (S22)."):
    return report_page(report, [Extra(table)], prepared, AGAIN)


@pytest.fixture(scope="module")
def html():
    """Of a feature and of classes that are called like statements."""
    return made(*made_report(feature="S5", labels=("S6", "S7"), checks=CHECKS))


@pytest.fixture(scope="module")
def separated_report():
    return made_separated_report()


@pytest.fixture(scope="module")
def separated(separated_report):
    return made(*separated_report)


def test_the_page_is_sound_and_every_link_ends_in_it(html, separated):
    for text in (html, separated):
        page = Parsed(text)
        assert page.wrong == []
        ids = page.values("id")
        assert len(ids) == len(set(ids))
        aimed = {value[1:] for value in page.values("href", "xlink:href") if value.startswith("#")}
        aimed |= set(page.values("aria-describedby", "aria-labelledby")) | set(re.findall(r"url\(#([^)]+)\)", text))
        assert aimed <= set(ids)


def test_nothing_is_loaded_and_only_its_own_script_may_run(html, separated):
    for text in (html, separated):
        page = Parsed(text)
        places = page.values("href", "xlink:href", "src", "srcset", "action", "poster")
        assert [place for place in places if not place.startswith(("#", "data:image/png;base64,"))] == []
        assert not re.findall(r"url\((?!#)|@import", text)
        (policy,) = [a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
        (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert policy.startswith("default-src 'none'; ") and f"script-src 'sha256-{digest}'" in policy
        assert "unsafe-inline'; script-src 'sha256" in policy  # for styles alone


def test_every_part_of_the_report_is_there(html):
    page = Parsed(html)
    text = " ".join(" ".join(page.texts).split())
    for heading in (
        "The problem",
        "Does a best fit exist?",
        "Training",
        "Curvature",
        "Every check",
        "Coefficients",
        "Proved digits",
        "How to check it again",
        "Versions",
        "The statements",
    ):
        assert html.count(f">{heading}</h") == 1, heading
    report, _ = made_report(checks=CHECKS)
    (data,) = report.datasets
    for fact in (data.found()[0][1], data.certificate.loss_lower, "There is no table: none was made", "a<b>.csv"):
        assert " ".join(fact.split()) in " ".join("".join(page.texts).split())
    assert "finding: made by hand" in text
    assert len([tag for tag, _ in page.elements if tag == "figure"]) == 5  # ball, steps, confusion, spectrum, shares


def test_the_rows_are_those_of_the_text_and_what_failed_stands_first(html):
    table = re.findall(r"<table class=\"wide\">.*?</table>", html, re.S)[-1]
    shown = [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", table, re.S)]
    rows = rows_table(sorted(CHECKS, key=lambda row: {False: 0, None: 1, True: 2}[row.passed])).rows
    expected = ["check", "found", "allowed", "ratio", "result"]
    for line in rows:
        expected += [plain(cell) for cell in line.cells] + ([plain(line.note)] if line.note else [])
    assert shown == expected
    assert rows[0].cells[-1] == "FAIL"


def test_a_name_is_shown_and_never_obeyed():
    """In the names of the file, the feature and a class, in what matplotlib writes and in what we write."""
    name, label = " ".join(HOSTILE), " ".join(each for each in HOSTILE if not set(each) & REFUSED)
    report, prepared = made_report(feature=name, labels=(label, "wren"), name=name)
    (extra,) = extras(report, prepared)
    assert isinstance(extra.table, Inference)
    text = report_page(report, [extra], prepared, AGAIN)
    text.encode("utf-8")  # half of a pair could not be written
    page = Parsed(text)
    assert page.wrong == []
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not [tag for tag, attributes in page.elements if tag == "img" or any(k.startswith("on") for k in attributes)]
    assert not set("\x00\u202e\udc80") & set(text)
    seen = "".join(page.texts)
    for each in HOSTILE:
        shapeless = set(each) & set("\x00\u202e\udc80")
        assert (each.encode("unicode_escape").decode() if shapeless else each) in seen
    assert plain("\u2067\r") == r"\u2067\r" and plain("שלום\t花") == "שלום\t花"


def test_a_tag_is_a_link_in_what_we_say_and_not_in_what_is_the_users(html):
    assert '<a class="tag" href="#S13" aria-describedby="S13-says">S13</a>' in html
    assert '<dd id="S13-says">a minimiser nearby, with error bounds' in html
    assert ">features</th><td>S5</td>" in html
    assert '<th scope="col" class="right">S6</th>' in html
    assert not re.findall(r'href="#S[567]"', html), "it may be the feature or the class of this name"


def test_where_no_best_fit_exists_its_witness_is_drawn(separated):
    page = Parsed(separated)
    alt = [attributes["aria-label"] for tag, attributes in page.elements if tag == "svg"]
    assert len(alt) == 7  # margins, direction, steps, weights, confusion, spectrum, shares
    assert all(len(words) > 20 for words in alt)
    assert "No. Some direction of the weights lowers the loss for ever" in separated
    assert 'id="d1-direction-' in separated and 'id="d1-weights-' in separated


def test_the_same_report_makes_the_same_bytes(separated_report, separated):
    assert made(*separated_report) == separated


def test_images_are_known_by_the_names_of_their_pixels():
    names = [f"pixel_{row}_{column}" for row, column in np.ndindex(3, 2)]
    assert image_shape(names) == (3, 2)
    assert image_shape(names[:-1]) is None
    assert image_shape(names[::-1]) is None
    assert image_shape([*names, "age"]) is None
    assert image_shape([]) is None


def test_very_many_classes_have_no_image_each():
    """Hundreds of tiles would be yards long."""
    count = MOST_TILES + 1
    pixels = [f"pixel_0_{place}" for place in range(count)]
    fit = SimpleNamespace(W=np.eye(count), coef=np.eye(count), classes=None)
    assert weights("d1", cast(DatasetReport, SimpleNamespace(fit=fit)), pixels) == []
    verdict = js.decide_existence(js.Problem.from_labels(np.eye(count), range(count)))
    assert ["-margins-" in drawn for drawn in separation("d1", verdict, pixels)] == [True]


def test_the_table_rests_on_the_pages_verdict_and_not_on_the_fits(separated_report):
    """The fit's is about the doubles, the page's about the decimals of the file."""
    report, prepared = separated_report
    attained = js.decide_existence(js.Problem.from_labels([[0.0], [0.0]], [0, 1]))
    (data,) = report.datasets
    fit = dataclasses.replace(data.fit, status=js.Status.DIVERGING, existence=data.existence)
    other = dataclasses.replace(data, fit=fit, existence=attained)
    (extra,) = extras(dataclasses.replace(report, datasets=(other,)), prepared)
    assert isinstance(extra.table, str) and "it ended DIVERGING, and has not converged" in extra.table


@pytest.mark.parametrize(("gap", "low"), [(None, "above its lowest"), (1e-3, "above the minimum")])
def test_the_words_below_the_run_are_those_of_its_legend(gap, low):
    (data,) = made_report()[0].datasets
    (figure,) = training("d1", dataclasses.replace(data, fit=dataclasses.replace(data.fit, gap_estimate=gap)))
    assert f">loss {low}</text>" in figure
    assert f"The loss {low}, the gradient against the steps.</figcaption>" in figure
