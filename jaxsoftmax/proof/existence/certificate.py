"""A verdict as a file: JSON that `check_existence.py` verifies from the data alone (section 7.6).

Guarded by `tests/proof/existence/test_verdict.py`.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import numpy as np

from jaxsoftmax.proof.exact.witness import Multipliers
from jaxsoftmax.proof.existence.status import Existence, Separation
from jaxsoftmax.support.atomic_write import write_text
from jaxsoftmax.support.validation import show

__all__ = ["certificate_of", "write_certificate"]

_PLAIN = 2**53  # integers from here on are written as hexadecimal text: no reader may round them


def certificate_of(verdict: Any, table: dict[str, Any] | None = None) -> dict[str, Any]:
    """The certificate of a proved verdict as a JSON-ready object; its form is described in check_existence.py."""
    data = verdict.data
    direction = None
    if verdict.status is Existence.NOT_ATTAINED:
        entries = [[c, d, _integer(int(v))] for c, d, v in verdict.direction_entries()]
        direction = {"denominator": 1, "entries": entries}
    needed = verdict.status is Existence.ATTAINED or verdict.type is Separation.QUASI_COMPLETE
    return {
        "format": "jaxsoftmax-existence",
        "version": 1,
        "made_by": f"jaxsoftmax {version('jaxsoftmax')}",
        "data": data.described() | {"table": table},
        "verdict": {"status": verdict.status.name, "type": verdict.type, "face_maximal": verdict.face_maximal},
        "proof": verdict.proof,
        "direction": direction,
        "multipliers": _blocks(verdict.multipliers, data.rows) if needed and verdict.multipliers else None,
    }


def _integer(value: int) -> int | str:
    return value if abs(value) < _PLAIN else hex(value)


def _blocks(G: Multipliers, rows: np.ndarray) -> list[dict[str, Any]]:
    """The blocks with the indices of the data's own rows."""
    return [
        {
            "denominator": _integer(int(block.denominator)),
            "rows": rows[block.rows].tolist(),
            "values": [[_integer(int(v)) for v in row] for row in block.values.tolist()],
        }
        for block in G.blocks
    ]


def write_certificate(path: Any, certificate: dict[str, Any]) -> None:
    """Write JSON beside `path`, then move it into place: a reader never sees half a file.

    Raises:
        TypeError, ValueError: `path` cannot be written to, or `table` is not how a text table is read.
    """
    table = certificate["data"]["table"]
    form = {"delimiter": (str, type(None)), "header": (bool,), "target": (int,)}
    if table is not None and not (
        isinstance(table, dict)
        and table.keys() == form.keys()
        and all(type(table[key]) in kinds for key, kinds in form.items())
    ):
        raise ValueError(
            f"table: got {show(table)}; give {{'delimiter': text or None for blanks, 'header': bool, 'target': column "
            "index}, as Dataset.table has it, or leave it out."
        )
    separators = (",", ":") if "witness" in certificate else None  # many numbers: a tenth of the file would be blanks
    # A key a line; the numbers of a witness stay on one line, for they are many.
    lines = [
        f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False, separators=separators)}"
        for key, value in certificate.items()
    ]
    write_text(path, ["{\n" + ",\n".join(lines) + "\n}\n"], "utf-8")
