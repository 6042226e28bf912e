"""The statements whose Coq proof is whole, written by `proofs/check.py`; do not edit.

Guarded by `tests/house/test_machine_checked.py`.
"""

__all__ = ["MACHINE_CHECKED"]

MACHINE_CHECKED = (
    "S1",
    "S2",
    "S3",
    "S4",
    "S5",
    "S6",
    "S7a",
    "S7c",
    "S7d",
    "S8",
    "S9",
    "S10",
    "S12",
    "S13",
    "S14",
    "S15b",
    "S16",
    "S18",
    "S19",
)
