"""Whether the types of public names are complete: `pyright --verifytypes` at least at the percentage given."""

import json
import subprocess
import sys
from pathlib import Path


def share(report: str) -> float:
    """The share of public names whose type is known, of the JSON that pyright writes."""
    found = json.loads(report)["typeCompleteness"]
    counts = found["exportedSymbolCounts"]
    if not sum(counts.values()):  # a package that pyright does not find is 0 % complete, of 0 names
        raise SystemExit("pyright found no public name: is jaxsoftmax installed beside it?")
    return 100 * found["completenessScore"]


if __name__ == "__main__":
    command = [Path(sys.executable).with_name("pyright"), "--pythonpath", sys.executable, "--verifytypes", "jaxsoftmax"]
    done = subprocess.run(
        [*command, "--ignoreexternal", "--outputjson"], capture_output=True, text=True
    )  # 1 below 100 %
    if not done.stdout.startswith("{"):
        raise SystemExit(f"pyright: {done.stderr or done.stdout}")
    found, least = share(done.stdout), float(sys.argv[1])
    print(f"types of public names: {found:.1f} % known, at least {least:g} % wanted")
    sys.exit(found < least)
