"""Ask Coq what each theorem of `proofs/README.md` assumes; standard library only.

    make -C proofs && python3 proofs/check.py            print the table: statement, theorems, assumptions, functions
                      python3 proofs/check.py --write    and write the list of the statements that are proved
                      python3 proofs/check.py --check    and fail where that list is not the one in the package

Ends with 1 where a proof has a gap or assumes more than the axioms that the README lists.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

PROOFS = Path(__file__).resolve().parent
LIST = PROOFS.parent / "jaxsoftmax" / "verification" / "machine_checked.py"
GAPS = r"\b(Admitted|admit|Axioms?|Parameters?|Conjectures?|bypass_check|Unset\s+\w+\s+Checking|type-in-type)\b"


class Statement(NamedTuple):
    """A row of the README's table; `theorems` are written File.name."""

    tag: str
    says: str
    theorems: tuple[str, ...]
    functions: tuple[str, ...]
    status: str


def statements(page: str) -> list[Statement]:
    """The rows of the table under "What is proved"."""
    part = page.partition("\n## What is proved\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    return [
        Statement(tag, says, tuple(re.findall("`([^`]+)`", proofs)), tuple(re.findall("`([^`]+)`", code)), status)
        for tag, says, proofs, code, status in rows[2:]
    ]


def allowed_axioms(page: str) -> set[str]:
    """The axioms that the README lists."""
    part = page.partition("\n## What the proofs assume\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", part, re.M))


def proved_tags(rows: list[Statement]) -> list[str]:
    """The tags whose rows are all proved: part of a statement is not called machine-checked."""
    tags = dict.fromkeys(row.tag for row in rows if re.fullmatch(r"S\d+[a-e]?", row.tag))
    return [tag for tag in tags if all(row.status == "proved" for row in rows if row.tag == tag)]


def gaps(source: str) -> list[str]:
    """The words of a Coq file, comments apart, that leave something unproved."""
    depth, code = 0, []
    for token in re.split(r"(\(\*|\*\))", source):
        if token == "(*":
            depth += 1
        elif token == "*)":
            depth -= 1
        elif depth == 0:
            code.append(token)
    return [match.group(0) for match in re.finditer(GAPS, " ".join(code))]


def assumptions(answer: str) -> list[set[str]]:
    """Coq's answers to a list of `Print Assumptions`: the axioms of each theorem."""
    found: list[set[str]] = []
    for line in answer.splitlines():
        if line.startswith(("Axioms:", "Closed under the global context")):
            found.append(set())
        elif name := re.match(r"([\w.']+)(?=\s*:|\s*$)", line):
            found[-1].add(name.group(1))
        elif not line.startswith(" "):
            raise ValueError(f"not an answer to Print Assumptions: {line!r}")
    return found


def ask(rows: list[Statement]) -> list[set[str]]:
    """What Coq says that the theorems of each row assume, taken together; make must have compiled the proofs."""
    files = dict.fromkeys(name.partition(".")[0] for row in rows for name in row.theorems)
    lines = [f"From Softmax Require {' '.join(files)}."]
    for k, row in enumerate(rows):
        lines += [f"Definition row_{k} := ({', '.join(f'@{name}' for name in row.theorems)})."]
        lines += [f"Print Assumptions row_{k}."]
    with tempfile.TemporaryDirectory() as folder:
        question = Path(folder) / "question.v"
        question.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run(
            ["coqc", "-q", "-Q", str(PROOFS), "Softmax", str(question)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        sys.exit(f"coqc: {done.stderr.strip()}\n(make -C proofs compiles the proofs)")
    answers = assumptions(done.stdout)
    if len(answers) != len(rows):
        sys.exit(f"{len(rows)} questions, but {len(answers)} answers of coqc")
    return answers


def listing(tags: list[str]) -> str:
    """The module that the package reads."""
    lines = [
        '"""The statements whose Coq proof is whole, written by `proofs/check.py`; do not edit.',
        "",
        "Guarded by `tests/house/test_machine_checked.py`.",
        '"""',
        "",
        '__all__ = ["MACHINE_CHECKED"]',
        "",
        "MACHINE_CHECKED = (",
        *(f'    "{tag}",' for tag in tags),
        ")",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """The table, and 1 where something is wrong."""
    parser = argparse.ArgumentParser(description="What each theorem of proofs/README.md assumes, as Coq says.")
    parser.add_argument("--write", action="store_true", help="write the list of the statements that are proved")
    parser.add_argument("--check", action="store_true", help="fail where that list differs")
    options = parser.parse_args()
    page = (PROOFS / "README.md").read_text(encoding="utf-8")
    rows, allowed = statements(page), allowed_axioms(page)
    built = re.findall(r"^\w+\.v$", (PROOFS / "_CoqProject").read_text(encoding="utf-8"), re.M)
    faults = [f"{path.name}: not in _CoqProject" for path in sorted(PROOFS.glob("*.v")) if path.name not in built]
    for name in (*built, "_CoqProject"):
        faults += [f"{name}: {word}" for word in gaps((PROOFS / name).read_text(encoding="utf-8"))]
    rows = [row for row in rows if row.theorems]
    for row, found in zip(rows, ask(rows), strict=True):
        faults += [f"{row.tag} ({', '.join(row.theorems)}) assumes {axiom}" for axiom in sorted(found - allowed)]
        print(f"{row.tag}: {row.says} [{row.status}]")
        print(f"    theorems: {', '.join(row.theorems)}")
        print(f"    assume: {', '.join(sorted(axiom.rpartition('.')[2] for axiom in found)) or 'nothing'}")
        print(f"    in the package: {', '.join(row.functions)}")
    tags = proved_tags(rows)
    print(f"machine-checked: {', '.join(tags)}")
    if options.write:
        LIST.write_text(listing(tags), encoding="utf-8")
    elif options.check and LIST.read_text(encoding="utf-8") != listing(tags):
        faults.append(f"{LIST.name} differs: python3 proofs/check.py --write")
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
