"""Who has SQLite's one writer: as the kernel's list of locks says, so that nobody has to write it down."""

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LOCKS = Path("/proc/locks")
_WRITER = "120"  # the byte of the shared memory that a writer locks (SQLite, walformat: WAL_WRITE_LOCK)


class Holder(NamedTuple):
    """`process` 0: not known."""

    program: str
    process: int


UNKNOWN = Holder("unknown", 0)


def of_turn(beside: str) -> Holder:
    """The program, and its process, that has the turn at the database file `beside`."""
    return _holder(f"{beside}-turn", "FLOCK", "0")


def of_writer(beside: str) -> Holder:
    """The same, that has SQLite's writer; perhaps without a turn, as a tool of somebody else."""
    return _holder(f"{beside}-shm", "POSIX", _WRITER)


def _holder(path: str, kind: str, first: str) -> Holder:
    try:
        lines, node = LOCKS.read_text().splitlines(), str(Path(path).stat().st_ino)
    except OSError:  # another kernel, or hidden from us
        return UNKNOWN
    for line in lines:
        # "7: FLOCK  ADVISORY  WRITE 4711 fe:01:131080 0 EOF"; one that waits has "->" after the number
        match line.split():
            case [_, found, _, "WRITE", pid, place, begins, _] if found == kind and begins == first:
                if place.rpartition(":")[2] == node:
                    return Holder(_name(pid), int(pid))
    return UNKNOWN


def _name(pid: str) -> str:
    """Of ours what it does, of others the name of its file."""
    name = ""
    with suppress(OSError):
        name = Path(f"/proc/{pid}/comm").read_text()
    with suppress(OSError, UnicodeDecodeError):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if "-m" in words and not name.startswith("fleet-"):
            name = "-".join(words[words.index("-m") + 1 :][:2])
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or UNKNOWN.program
