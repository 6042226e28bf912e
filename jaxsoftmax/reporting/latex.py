"""A coefficients' table as LaTeX: one `tabular`, with plain rules, which needs no package.

Guarded by `tests/uncertainty/test_table.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["latex_table"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def escaped(text: str) -> str:
    """The text with LaTeX's special characters written out."""
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def latex_table(head: Sequence[str], groups: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> str:
    r"""Groups of rows, each below its title.

    Example:
        >>> from jaxsoftmax.reporting.latex import latex_table
        >>> print(latex_table(("feature", "z"), [("class a_b", [("age", "-1.5")])]))
        \begin{tabular}{lr}
        \hline
        feature & z \\
        \hline
        \multicolumn{2}{l}{class a\_b} \\
        age & $-$1.5 \\
        \hline
        \end{tabular}
    """
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\hline", _row(map(escaped, head)), r"\hline"]
    for title, rows in groups:
        lines.append(rf"\multicolumn{{{len(head)}}}{{l}}{{{escaped(title)}}} \\")
        lines += [_row((escaped(name), *map(_number, cells))) for name, *cells in rows]
        lines.append(r"\hline")
    return "\n".join([*lines, r"\end{tabular}"])


def _row(cells) -> str:
    return " & ".join(cells) + r" \\"


def _number(text: str) -> str:
    sign, rest = ("$-$", text[1:]) if text.startswith("-") else ("", text)
    return sign + escaped(rest)
