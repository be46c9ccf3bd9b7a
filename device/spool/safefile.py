"""Files that are either wholly there or not there, whatever happens to the power.

Written to a temporary name in the same folder, flushed, renamed, and the folder flushed. Modes are set
outright (0660, folders 2770): agent and uplink are two users of one group, and the umask of either (0077
under systemd) would shut the other out.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

_TEMPORARY = ".writing-"


def make_folder(folder: Path, mode: int = 0o2770) -> None:
    """Make `folder` if it is missing, for owner and group only."""
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
    there = folder.stat()
    if stat.S_IMODE(there.st_mode) != mode and there.st_uid == os.geteuid():
        folder.chmod(mode)


def put(path: Path, data: bytes, *, writer: str, durable: bool = True, mode: int = 0o660) -> None:
    """Write `path` whole. `writer` names who writes, so that each clears away only its own leftovers.

    `durable=False` is for what may be a little stale after a power cut (progress, link status): no flush."""
    temporary = path.parent / f"{_TEMPORARY}{writer}-{path.name}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, mode)
    try:
        os.fchmod(handle, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        if durable:
            os.fsync(handle)
    except OSError:
        temporary.unlink()
        raise
    finally:
        os.close(handle)
    temporary.rename(path)
    if durable:
        flush_folder(path.parent)


def take(path: Path, limit: int) -> bytes | None:
    """The content of a file of at most `limit` bytes; None when missing, larger, or not a plain file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(limit + 1)
    return data if len(data) <= limit else None


def drop(path: Path) -> bool:
    """Remove a file for good; False when it was gone already."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    flush_folder(path.parent)
    return True


def names(folder: Path) -> list[str]:
    """Names of the finished files in `folder`, sorted."""
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))


def sweep(folder: Path, writer: str) -> int:
    """Clear away what a power cut left half-written by `writer`; how many there were."""
    left = [entry for entry in folder.iterdir() if entry.name.startswith(f"{_TEMPORARY}{writer}-")]
    for entry in left:
        entry.unlink()
    return len(left)


def flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
