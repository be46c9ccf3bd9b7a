"""What a program does to the vault's files, call by call with every byte, as the kernel is asked for it.

The program runs unchanged under `strace`; SQLite writes with `pwrite64` alone, and its `-shm` file (mapped
memory, made anew after every crash) is left out. What the program says with `pwrite` to a file of its own
(see `play`) stands between the writes in the order in which it happened.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_CALLS = "openat,pwrite64,ftruncate,fsync,fdatasync,unlink,rename"
_LINE = re.compile(r"(\d+) +(\w+)\((.*)", re.DOTALL)
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>")
_TEXT = re.compile(r'[<"]((?:\\x[0-9a-f]{2})*)[>"]')
_WRITE_END = re.compile(r", \d+, (\d+)(?:\) += \d+| <unfinished \.\.\.>)$")
_TRUNCATE_END = re.compile(r", (\d+)(?:\) += 0| <unfinished \.\.\.>)$")


@dataclass(frozen=True)
class Create:
    name: str


@dataclass(frozen=True)
class Write:
    name: str
    at: int
    data: bytes


@dataclass(frozen=True)
class Truncate:
    name: str
    size: int


@dataclass(frozen=True)
class Sync:
    """Of a file; of the folder when the name is empty."""

    name: str


@dataclass(frozen=True)
class Unlink:
    name: str


@dataclass(frozen=True)
class Rename:
    name: str
    to: str


@dataclass(frozen=True)
class Word:
    """What the program said, whole lines."""

    text: str


Op = Create | Write | Truncate | Sync | Unlink | Rename | Word


def record(folder: Path, visits: int, synchronous: str = "") -> list[Op]:
    """The kit that `play` founds in `folder` while it does its visits, up to its orderly end."""
    log, words = folder.with_suffix(".strace"), folder.with_suffix(".words")
    folder.mkdir()
    tracer = ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "100000000", "-e", "signal=none"]
    program = [sys.executable, "-m", "tests.device.vault.play", "do", str(folder), str(words), str(visits)]
    done = subprocess.run(
        [*tracer, "-e", f"trace={_CALLS}", "-o", str(log), *program, *([synchronous] if synchronous else [])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "PTRACE_TRACEME" in done.stderr:
        pytest.skip("strace may not trace here")
    assert done.returncode == 0, done.stderr
    with log.open(encoding="ascii") as lines:
        ops = list(read(lines, os.fsencode(folder / "data"), os.fsencode(words)))
    log.unlink()
    assert ops[-1] == Word("done\n")
    return ops


def read(lines: Iterator[str], folder: bytes, words: bytes) -> Iterator[Op]:
    """A write counts from when it is asked for, a flush from when it has returned."""
    syncing: dict[str, Sync] = {}
    for line in lines:
        line = line.rstrip("\n")
        resumed = _RESUMED.match(line)
        if resumed is not None:
            sync = syncing.pop(resumed[1], None)
            if sync is not None:
                yield sync
            continue
        found = _LINE.match(line)
        if found is None or " = -1 " in line[-80:]:
            continue
        thread, call, rest = found.groups()
        op = _op(call, rest, folder, words)
        if isinstance(op, Sync) and line.endswith("<unfinished ...>"):
            syncing[thread] = op
        elif op is not None:
            yield op


def _op(call: str, rest: str, folder: bytes, words: bytes) -> Op | None:
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in _TEXT.findall(rest[:2000])]
    if call == "openat":
        name = _name(texts[1], folder)
        return Create(name) if name and "O_CREAT" in rest else None
    if call == "pwrite64":
        data = bytes.fromhex(rest.split('"')[1].replace("\\x", ""))
        if texts[0] == words:
            return Word(data.decode())
        name, end = _name(texts[0], folder), _WRITE_END.search(rest)
        assert end is not None, rest[-200:]
        return Write(name, int(end[1]), data) if name else None
    name = _name(texts[0], folder)
    if call in ("fsync", "fdatasync"):
        return Sync(name or "") if name or texts[0] == folder else None
    if name is None:
        return None
    if call == "ftruncate":
        end = _TRUNCATE_END.search(rest)
        assert end is not None, rest
        return Truncate(name, int(end[1]))
    if call == "rename":
        to = _name(texts[1], folder)
        assert to is not None
        return Rename(name, to)
    return Unlink(name)


def _name(path: bytes, folder: bytes) -> str | None:
    """The name of a file of the vault, without what is mapped memory."""
    parent, _, name = path.rpartition(b"/")
    ours = parent == folder and name.startswith(b"vault.db") and not name.endswith(b"-shm")
    return name.decode() if ours else None
