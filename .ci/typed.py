"""Whether the types of a wheel's public names are complete: `python .ci/typed.py 95 dist/PACKAGE.whl`."""

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def share(report: str) -> float:
    """The share of public names whose type is known, of the JSON that pyright writes."""
    found = json.loads(report)["typeCompleteness"]
    counts = found["exportedSymbolCounts"]
    if not sum(counts.values()):  # a package that pyright does not find is 0 % complete, of 0 names
        raise SystemExit("pyright found no public name in the wheel")
    return 100 * found["completenessScore"]


def asked(wheel: str) -> str:
    """What pyright says of the wheel, unpacked: it does not follow an editable installation here."""
    command = [Path(sys.executable).with_name("pyright"), "--pythonpath", sys.executable, "--verifytypes", "jaxsoftmax"]
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        done = subprocess.run(
            [*command, "--ignoreexternal", "--outputjson"],
            capture_output=True,
            text=True,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": folder},
        )  # ends with 1 below 100 %
    if not done.stdout.startswith("{"):
        raise SystemExit(f"pyright: {done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    least, found = float(sys.argv[1]), share(asked(sys.argv[2]))
    print(f"types of public names: {found:.1f} % known, at least {least:g} % wanted")
    sys.exit(found < least)
