"""Two Python processes on the loopback interface, joined by `jax.distributed`: start them, see how they end."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

START = """
import sys
import jax
number, port = int(sys.argv[1]), sys.argv[2]
jax.distributed.initialize(f"127.0.0.1:{port}", 2, number, heartbeat_timeout_seconds=30)
"""
LIMIT = 240  # seconds in which a healthy pair ends on the busiest machine; reached by a failing test alone


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (negative: the signal), and what it said."""

    code: int
    out: str
    err: str


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def run_two(program: str, *arguments: str, limit: float = LIMIT, **environment: str) -> list[Ended]:
    """START and then `program` in two processes, to their ends; `number` is 0 or 1; arguments: `sys.argv[3:]`."""
    ours = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
    port = str(free_port())
    with contextlib.ExitStack() as stack:
        files = [[stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2)] for _ in range(2)]
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", START + program, str(number), port, *arguments],
                    env=os.environ | ours | environment,
                    stdout=out,
                    stderr=err,
                )
            )
            for number, (out, err) in enumerate(files)
        ]
        for process in processes:
            stack.callback(process.kill)  # before the wait of Popen's own exit, where a test gives up
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in processes:
                process.wait(limit)
        late = [number for number, process in enumerate(processes) if process.poll() is None]
        for file in (*files[0], *files[1]):
            file.seek(0)
        said = [[file.read() for file in pair] for pair in files]
        assert not late, f"processes {late} have not ended in {limit} s; {said}"
        return [Ended(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]
