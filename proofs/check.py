"""Ask Coq what each theorem of `proofs/README.md` assumes; standard library only.

    make -C proofs && python3 proofs/check.py            print the table: statement, theorems, assumptions, functions
                      python3 proofs/check.py --write    and write statements.txt and the list of what is proved
                      python3 proofs/check.py --check    and fail where these two differ from what is committed

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
SAID = PROOFS / "statements.txt"
# Where Coq keeps the modules of the axioms that the README lists.
LIBRARY = {
    "ClassicalDedekindReals": "Coq.Reals",
    "FunctionalExtensionality": "Coq.Logic",
    "Classical_Prop": "Coq.Logic",
}
GAPS = r"\b(Admitted|admit|Abort|Axioms?|Parameters?|Conjectures?|bypass_check|Unset\s+\w+\s+Checking|type-in-type)\b"


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


def code_of(source: str) -> str:
    """A Coq file without its comments, which may be nested."""
    depth, code = 0, []
    for token in re.split(r"(\(\*|\*\))", source):
        if token == "(*":
            depth += 1
        elif token == "*)":
            depth -= 1
        elif depth == 0:
            code.append(token)
    return " ".join(code)


def gaps(source: str) -> list[str]:
    """The words of a Coq file that leave something unproved; a variable outside all sections is an axiom."""
    code = code_of(source)
    found, open_ = [match.group(0) for match in re.finditer(GAPS, code)], []
    for match in re.finditer(r"\b(Section|Module|End|Variables?|Hypothes[ie]s|Context)\b", code):
        word = match.group(0)
        if word in ("Section", "Module"):
            open_.append(word)
        elif word == "End":
            open_ = open_[:-1]
        elif "Section" not in open_:
            found.append(word)
    return found


def is_theorem(source: str, name: str) -> bool:
    """Whether a Coq file states this name once, as a theorem, and gives it no other meaning."""
    names = re.findall(r"\b([A-Z][a-z]\w*)\s+" + re.escape(name) + r"(?=[\s:({.])", code_of(source))
    meanings = [word for word in names if word not in ("Proof", "Qed", "End", "Check", "Print", "About", "Opaque")]
    return len(meanings) == 1 and meanings[0] in ("Theorem", "Lemma", "Corollary")


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


def coq(lines: list[str]) -> str:
    """What coqc prints of these lines; make must have compiled the proofs."""
    with tempfile.TemporaryDirectory() as folder:
        question = Path(folder) / "question.v"
        question.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run(
            ["coqc", "-q", "-Q", str(PROOFS), "Softmax", str(question)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        sys.exit(f"coqc: {done.stderr.strip()}\n(make -C proofs compiles the proofs)")
    return done.stdout


def files_of(rows: list[Statement]) -> str:
    """The names of the files that hold the theorems."""
    return " ".join(dict.fromkeys(name.partition(".")[0] for row in rows for name in row.theorems))


def ask(rows: list[Statement], allowed: set[str]) -> list[set[str]]:
    """What Coq says that the theorems of each row assume, taken together."""
    full = {axiom: f"{LIBRARY[axiom.partition('.')[0]]}.{axiom}" for axiom in sorted(allowed)}
    lines = [f"Require {name.rpartition('.')[0]}." for name in full.values()]
    lines += [f"From Softmax Require {files_of(rows)}."]
    # Coq answers with short names: each must mean what it means in Coq's own library.
    lines += [f"Definition own_{k} : @{a} = @{b} := eq_refl." for k, (a, b) in enumerate(full.items())]
    for k, row in enumerate(rows):
        lines += [f"Definition row_{k} := ({', '.join(f'@{name}' for name in row.theorems)})."]
        lines += [f"Print Assumptions row_{k}."]
    answers = assumptions(coq(lines))
    if len(answers) != len(rows):
        sys.exit(f"{len(rows)} questions, but {len(answers)} answers of coqc")
    return answers


def said(rows: list[Statement]) -> str:
    """Every theorem of the table as Coq reads it, so that one that was made weaker is seen."""
    names = dict.fromkeys(name for row in rows for name in row.theorems)
    notations = ["From Coq Require Import Reals.", "From Coquelicot Require Import Coquelicot."]
    files = f"From Softmax Require Import Sums Problem {files_of(rows)}."
    return coq(
        [*notations, files, "Open Scope R_scope.", "Set Printing Width 120.", *(f"Check @{name}." for name in names)]
    )


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
    parser.add_argument("--write", action="store_true", help="write statements.txt and the list of what is proved")
    parser.add_argument("--check", action="store_true", help="fail where these two differ from what is committed")
    options = parser.parse_args()
    page = (PROOFS / "README.md").read_text(encoding="utf-8")
    rows, allowed = statements(page), allowed_axioms(page)
    built = re.findall(r"^\w+\.v$", (PROOFS / "_CoqProject").read_text(encoding="utf-8"), re.M)
    faults = [f"{path.name}: not in _CoqProject" for path in sorted(PROOFS.glob("*.v")) if path.name not in built]
    for name in (*built, "_CoqProject"):
        faults += [f"{name}: {word}" for word in gaps((PROOFS / name).read_text(encoding="utf-8"))]
    tags, rows = proved_tags(rows), [row for row in rows if row.theorems]
    for name in dict.fromkeys(name for row in rows for name in row.theorems):
        file, _, theorem = name.partition(".")
        if not is_theorem((PROOFS / f"{file}.v").read_text(encoding="utf-8"), theorem):
            faults.append(f"{name} is not stated once, as a theorem")
    for row, found in zip(rows, ask(rows, allowed), strict=True):
        faults += [f"{row.tag} ({', '.join(row.theorems)}) assumes {axiom}" for axiom in sorted(found - allowed)]
        print(f"{row.tag}: {row.says} [{row.status}]")
        print(f"    theorems: {', '.join(row.theorems)}")
        print(f"    assume: {', '.join(sorted(axiom.rpartition('.')[2] for axiom in found)) or 'nothing'}")
        print(f"    in the package: {', '.join(row.functions)}")
    print(f"machine-checked: {', '.join(tags)}")
    for path, text in ((LIST, listing(tags)), (SAID, said(rows) if options.write or options.check else "")):
        if options.write and not faults:
            path.write_text(text, encoding="utf-8")
        elif options.check and path.read_text(encoding="utf-8") != text:
            faults.append(f"{path.name} differs: python3 proofs/check.py --write, and read what changed")
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
