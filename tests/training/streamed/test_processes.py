"""Two processes on the loopback interface: what they add up, what they agree on, how one learns of the other's end."""

import json
from concurrent.futures import Future

import jax
import numpy as np
import pytest

from helpers.two_processes import run_two
from jaxsoftmax.training.streamed import processes

VALUES = """
import numpy as np

def values(number):
    rng = np.random.default_rng(number)
    return {
        "large": rng.normal(size=(40, 25)) * 10.0 ** rng.integers(-9, 9, (40, 25)),
        "single": rng.normal(size=7).astype(np.float32),
        "whole": rng.integers(-5, 5, 3),
        "number": 0.1 + number,
        "rows": 2**40 + number,
    }

def bits(tree):
    return {name: [str(np.asarray(leaf).dtype), np.asarray(leaf).tobytes().hex()] for name, leaf in tree.items()}
"""
HEALTHY = f"""
import json
from jaxsoftmax.training.streamed.processes import add_up, agree, count, gather, largest, together
{VALUES}
def said(action):
    try:
        with together():
            return action()
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"

mine = values(number)
total = add_up(mine)
found = {{
    "count": count(),
    "x64": bool(jax.config.jax_enable_x64),
    "total": bits(total),
    "top": bits(largest(mine)),
    "kinds": [type(total["number"]).__name__, type(total["rows"]).__name__],
    "gathered": [part.tolist() for part in gather(np.arange(2 + number))],
    "agree": said(lambda: agree(method="newton", classes=(0, "b"), seed=np.int64(3), zeros=np.zeros(3))),
    "differ": said(lambda: agree(C=4, classes=("b", "ac"[number]), method="newton")),
    "data": said(lambda: agree(data=mine["large"])),
    "names": said(lambda: agree(**{{["bins", "caps"][number]: 1}})),
    "steps": said(lambda: add_up(np.zeros(3 + number))),
    "one_fails": said(lambda: 1 // number and add_up(1.0)),
    "text": said(lambda: add_up([1, np.array("a")])),
    "both_fail": said(lambda: [][number]),
    "caught": said(lambda: [said(lambda: 1 // number), add_up(1)]),
    "at_last": add_up(10 + number),
}}
print(json.dumps(found))
"""
LOOP = """
import os, signal
import numpy as np
from jaxsoftmax.training.streamed.processes import add_up, together
for step in range(1000):
    with together():
        if step == int(sys.argv[4]) and number == int(sys.argv[3]):
            {what}
        add_up(np.ones(1000))
"""


def last_line(ended):
    assert ended.code == 0, ended.err[-3000:]
    return json.loads(ended.out.splitlines()[-1])  # gloo greets on stdout


@pytest.mark.slow
def test_two_processes_add_agree_and_hand_on_errors():
    """Bit by bit: the sums are NumPy's own, in the order of the processes, in float64, rounded once; x64 stays off."""
    found = [last_line(ended) for ended in run_two(HEALTHY)]
    names: dict = {}
    exec(VALUES, names)
    first, second = (names["values"](number) for number in range(2))
    total = {key: np.asarray(first[key]) + np.asarray(second[key]) for key in first}
    total["single"] = (first["single"].astype(float) + second["single"].astype(float)).astype(np.float32)
    top = {key: np.maximum(first[key], second[key]) for key in first}
    for number, said in enumerate(found):
        other = 1 - number
        assert said["count"] == 2 and not said["x64"]
        assert said["total"] == names["bits"](total)
        assert said["top"] == names["bits"](top)
        assert said["kinds"] == ["float", "int"]
        assert said["gathered"] == [[0, 1], [0, 1, 2]]
        assert said["agree"] is None
        theirs = [("b", "a"), ("b", "c")]
        assert said["differ"] == (
            f"WrongValue: classes: process {number} has {theirs[number]}, process {other} has {theirs[other]}; "
            "give every process the same."
        )
        assert said["data"].startswith(f"WrongValue: data: process {number} has float64[40, 25] with digest ")
        assert said["names"].startswith(f"WrongValue: bins: process {number} has {['1', 'nothing'][number]}, ")
        assert said["steps"].startswith(
            f"ProcessLost: process {other} exchanges the sum of float64[{3 + other}], "
            f"this one the sum of float64[{3 + number}]"
        )
        assert said["text"].startswith("WrongType: tree: got a leaf of dtype <U1; ")
        assert said["both_fail"] == "IndexError: list index out of range"
        assert said["at_last"] == 21  # every process took part in every exchange: they are in step still
    zero = "ZeroDivisionError: integer division or modulo by zero"
    assert found[0]["one_fails"] == zero
    assert found[1]["one_fails"] == f"ProcessLost: process 0 of this run failed, and this one ends with it: {zero}"
    assert [said["caught"] for said in found] == [[zero, 2], [1, 2]]  # caught before the outermost block: not handed on


CAUSES = {  # the first comes before the first exchange, before any device was asked for
    "ValueError: bad rows": (0, 'raise ValueError("bad rows")', 1),
    "KeyboardInterrupt": (20, "signal.raise_signal(signal.SIGINT)", -2),
}


@pytest.mark.slow
@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("victim", [0, 1])
def test_an_error_in_one_process_ends_both_with_its_words(victim, cause):
    step, what, code = CAUSES[cause]
    ended = run_two(LOOP.format(what=what), str(victim), str(step))
    assert (ended[victim].code, ended[1 - victim].code) == (code, 1)
    assert ended[victim].err.strip().endswith(cause)
    assert (
        ended[1 - victim]
        .err.strip()
        .endswith(f"ProcessLost: process {victim} of this run failed, and this one ends with it: {cause}")
    )


INTERRUPTED = """
import os, signal, threading, time
from jaxsoftmax.training.streamed import processes
path = sys.argv[3]

def interrupt():
    while processes._exchanges.unseen is None:  # until the sum below is under way
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
    open(path, "w").close()

with processes.together():
    processes.add_up(1)
    if number == 0:
        threading.Thread(target=interrupt).start()
    while number == 1 and not os.path.exists(path):
        time.sleep(0.01)
    for _ in range(1000):
        processes.add_up(1)
"""


@pytest.mark.slow
def test_an_interrupt_is_heard_while_a_process_waits(tmp_path):
    """Process 0 waits for a process 1 that does not come before the interrupt."""
    first, second = run_two(INTERRUPTED, str(tmp_path / "interrupted"))
    assert first.code == -2 and first.err.strip().endswith("KeyboardInterrupt")
    assert second.code == 1 and "process 0 of this run failed" in second.err and "KeyboardInterrupt" in second.err


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other_with_a_clear_error(victim):
    """Ours comes first. JAX then ends the survivor: after the heartbeat's 30 s, or at once without process 0."""
    ended = run_two(LOOP.format(what="os.kill(os.getpid(), signal.SIGKILL)"), str(victim), "20")
    survivor = ended[1 - victim]
    assert ended[victim].code == -9 and survivor.code != 0
    ours = "ProcessLost: another process of this run was lost ("
    assert ours in survivor.err or (victim == 0 and "another task died" in survivor.err), survivor.err[-3000:]


def test_one_process_exchanges_nothing_and_needs_no_device():
    tree = {"a": np.ones(2), "b": (1, 2.0)}
    assert processes.count() == 1 and not jax.distributed.is_initialized()
    assert processes.add_up(tree) is tree and processes.largest(tree) is tree
    assert processes.agree(a=1, b=tree) is None
    with pytest.raises(ZeroDivisionError), processes.together():
        _ = 1 // 0


def test_sums_are_in_the_order_of_the_processes_and_in_float64(monkeypatch):
    """Three processes, without their exchange. In float64 1e16 + 1 = 1e16; in float32 1e8 + 1 = 1e8, in float64 not."""
    parts = [[1e16, 1e16, 1.0], [1.0, -1e16, 1e16], [-1e16, 1.0, -1e16]]
    singles = np.float32([[1e8], [1.0], [-1e8]])
    rows = [np.array(part).tobytes() + single.tobytes() for part, single in zip(parts, singles, strict=True)]
    monkeypatch.setattr(processes, "count", lambda: 3)
    monkeypatch.setattr(processes, "_exchange", lambda what, content: rows)
    large, single = processes.add_up((np.zeros(3), np.zeros(1, np.float32)))
    assert large.tolist() == [0.0, 1.0, 0.0]  # from the last to the first: [0, 0, 1]
    assert single.tolist() == [1.0] and single.dtype == np.float32
    large, single = processes.largest((np.zeros(3), np.zeros(1, np.float32)))
    assert large.tolist() == [1e16, 1e16, 1e16] and single.tolist() == [np.float32(1e8)]


@pytest.mark.parametrize("told", [False, True])
def test_an_interrupted_process_tells_the_others_unless_one_of_them_failed_in_that_exchange(told, monkeypatch):
    """Ctrl-C in a terminal reaches both: the one that waits must not wait once more for the one that is gone."""
    given, exchanges = [], processes._Exchanges()
    monkeypatch.setattr(processes, "_gather_bytes", lambda what, content, failing: given.append((content, failing)))
    exchanges.unseen = Future()
    exchanges.unseen.set_result([(False, b"", "", b""), (told, b"", "", b"KeyboardInterrupt")])
    exchanges.leave("KeyboardInterrupt")
    assert given == ([] if told else [(b"KeyboardInterrupt", True)])
