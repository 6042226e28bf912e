"""What is free, as the system and accelerators say it; and what is made of that."""

from types import SimpleNamespace

import pytest

from jaxsoftmax.support import memory


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A Linux of 3,000 KiB free and 500 KiB of swap, in no container."""
    write(tmp_path, meminfo="MemTotal: 8000 kB\nMemAvailable:    3000 kB\nSwapFree: 500 kB\nHugePages_Total:  0\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path)
    return tmp_path


def test_linux_says_what_is_free_and_swap_counts(system):
    assert memory.free_bytes() == 3500 * 1024


def test_a_container_has_no_more_than_its_limit_and_files_read_make_room(system):
    write(system, memory_max="1000000\n", memory_current="700000\n", memory_stat="anon 5\ninactive_file 200000\n")
    assert memory.free_bytes() == 1_000_000 - (700_000 - 200_000)
    write(system, memory_current="1300000\n")
    assert memory.free_bytes() == 0
    write(system, memory_max="max\n")
    assert memory.free_bytes() == 3500 * 1024


def test_other_systems_say_what_is_built_in_or_nothing(system, monkeypatch):
    (system / "meminfo").unlink()
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.get, raising=False)
    assert memory.free_bytes() == 40960
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.free_bytes() is None
    assert memory.fits(1e30) and memory.shortage(1e30) is None


def test_accelerators_say_it_themselves_together(system):
    def device(platform="gpu", **stats):
        return SimpleNamespace(platform=platform, memory_stats=lambda: stats or None)

    first, second = device(bytes_limit=100, bytes_in_use=30), device(bytes_limit=100)
    assert memory.free_bytes([first]) == 70
    assert memory.free_bytes([first, second]) == 170
    assert memory.free_bytes([first, device()]) is None
    assert memory.free_bytes([device("cpu", bytes_limit=1)]) == 3500 * 1024


def test_a_shortage_is_what_is_free_where_that_is_less(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): 100)
    assert memory.shortage(2**26) == 100 and memory.shortage(2**26 - 1) is None  # so little is not looked for
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)
    assert memory.shortage(100) is None and memory.fits(100)
    assert memory.shortage(101) == 100 and not memory.fits(101)
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): None)
    assert memory.shortage(101) is None and memory.shortage(101, assumed=50) == 50
