"""The quick way through a table gives what the careful reader gives, bit for bit, or leaves the table to it."""

from pathlib import Path

import numpy as np
import pytest

from jaxsoftmax.readers import csv_file
from jaxsoftmax.readers.plain_lines import plain_rows

CELLS = ["0.1", "-2e1", "+.5", "7.", "1e-400", "4.9e-324", "9007199254740993", " 3 ", "0e-999999999", "1E5"]


def read(*arguments):
    found = plain_rows(*arguments)
    assert found is not None
    return found


def number(rng):
    """A random double written in one of several ways, or one of the odd cells."""
    if rng.random() < 0.2:
        return CELLS[rng.integers(len(CELLS))]
    value = np.frombuffer(rng.bytes(8))[0]
    value = value if np.isfinite(value) else 1.5
    return (repr(float(value)), f"{value:.17e}", f"{value:.3g}")[rng.integers(3)]


@pytest.mark.parametrize("seed", range(20))
def test_both_readers_read_the_same(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    width, label = (int(k) for k in (rng.integers(2, 6), rng.integers(0, 2)))
    label = label if rng.random() < 0.5 else width - 1
    delimiter, end = (",", "\t", ";")[rng.integers(3)], ("\n", "\r\n")[rng.integers(2)]
    rows = [[number(rng) for _ in range(width)] for _ in range(30)]
    for row in rows:
        row[label] = ("crow", "wren ", "é")[rng.integers(3)]
    lines = [delimiter.join(row) for row in rows]
    lines.insert(3, "")
    if rng.random() < 0.5:
        lines.insert(0, delimiter.join(f"name_{k}" for k in range(width)))
    text = end.join(lines) + end * int(rng.integers(2))
    quick = csv_file.read_delimited(Path("a.txt"), text, label)
    monkeypatch.setattr(csv_file, "plain_rows", lambda *arguments: None)
    careful = csv_file.read_delimited(Path("a.txt"), text, label)
    assert quick.X.tobytes() == careful.X.tobytes() and quick.X.shape == careful.X.shape
    assert quick.y.tolist() == careful.y.tolist()
    assert (quick.feature_names, quick.target_name, quick.table) == (
        careful.feature_names,
        careful.target_name,
        careful.table,
    )


@pytest.mark.parametrize("label", [0, 1, 2])
def test_blanks_between_cells_are_read_too(label):
    cells = ["3.5", "1"]
    cells.insert(label, "wren")
    X, labels, lines = read(f"\n  {'   '.join(cells)}  \n\n{' '.join(cells)}", None, 3, label, False)
    assert X.tolist() == [[3.5, 1.0]] * 2 and labels == ["wren"] * 2 and lines == [2, 4]


def test_many_rows_come_in_blocks(monkeypatch):
    monkeypatch.setattr("jaxsoftmax.readers.plain_lines._ROWS", 7)
    X, labels, lines = read("".join(f"{k},c{k % 3}\n" for k in range(23)), ",", 2, 1, False)
    assert X[:, 0].tolist() == list(range(23)) and len(labels) == 23 and lines[-1] == 23


@pytest.mark.parametrize(
    "text",
    [
        '1,"2",a\n',
        "1,2\n",
        "1,2,a,b\n",
        "1,,a\n",
        "1,x,a\n",
        "1,1_000,a\n",
        "1,٣,a\n",
        "1,0x1,a\n",
        "1,nan,a\n",
        "1,1e999,a\n",
        "1,2,a\r3,4,b\n",
        f"1,{'0' * 5000},a\n",
        "",
        "\n \n",
    ],
)
def test_what_is_not_plain_is_left_to_the_careful_reader(text):
    assert plain_rows(text, ",", 3, 2, False) is None
