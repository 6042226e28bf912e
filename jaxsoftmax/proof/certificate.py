"""The stored form of a verdict (section 7.6): JSON that `check_existence.py` verifies from the data alone."""

from __future__ import annotations

import json
import os
import secrets
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from jaxsoftmax.proof.witness import Multipliers

__all__ = ["certificate_of", "write_certificate"]

_PLAIN = 2**53  # integers from here on are written as hexadecimal text: no reader may round them


def certificate_of(verdict: Any, table: dict[str, Any] | None = None) -> dict[str, Any]:
    """The certificate of a proved verdict as a JSON-ready object; its form is described in check_existence.py."""
    data = verdict.data
    direction = None
    if verdict.status.name == "NOT_ATTAINED":
        entries = [[c, d, _integer(int(v))] for c, d, v in verdict.direction_entries()]
        direction = {"denominator": 1, "entries": entries}
    needed = verdict.status.name == "ATTAINED" or verdict.type == "quasi-complete"
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


def write_certificate(path: Path, certificate: dict[str, Any]) -> None:
    """Write JSON beside `path`, then move it into place: a reader never sees half a file.

    Raises:
        ValueError: the folder of `path` does not exist.
    """
    if not path.parent.is_dir():
        raise ValueError(f"path: the folder of {str(path)!r} does not exist. Create it first.")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        # A key a line; the numbers of a witness stay on one line, for they are many.
        lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in certificate.items()]
        with open(temporary, "x", encoding="utf-8", newline="\n") as file:
            file.write("{\n" + ",\n".join(lines) + "\n}\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
