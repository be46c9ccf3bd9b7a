"""Sealed packets as files beside the database, each flushed before a row of the shelf names it.

A file that no row names is what a cut of the power left of a packet that was never kept, or of one that was
let go: it is cleared away when the vault is opened. The lock on a file says that somebody is still at it.

In a quiet moment room is made for the packet to come: a file of zeros, flushed, name and all, and memory of
that size. The packet is made in that memory and written over the zeros, and only its own bytes must then be
waited for; and that only when what else belongs to the transaction that names it has been done.
"""

import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from device.errors import Code, KitError, Remedy
from protocol.ids import is_ulid, new_ulid

BLOCK = 4096
"""Bytes: what memory and disk are divided into."""

LARGE = 512 * 1024
"""Bytes from which on it pays to write past the system's cache, and to have a thread of its own do that while
the caller works out digests."""

STEP = 128 * 1024
"""Room is made in steps of so many bytes."""

_SUFFIX = ".sealed"


class Parcels:
    """The files of one database."""

    def __init__(self, database: Path) -> None:
        self._folder = database.parent
        self._prefix = f"{database.name}-"
        self._next = ""  # the id of the packet for which there is room
        self._room: Unfinished | None = None
        self._spacious: list[Unfinished] = []  # packets that had room: some of it may be left

    def path(self, packet_id: str) -> Path:
        """ValueError for what is no packet's id."""
        if not is_ulid(packet_id):
            raise ValueError("not the id of a packet")
        return self._folder / f"{self._prefix}{packet_id}{_SUFFIX}"

    def make_room(self, size: int) -> None:
        """In a quiet moment: lay out so many bytes for the packet to come. KitError disk-full,
        vault-damaged."""
        if self._room is None:
            packet_id = new_ulid()
            self._room, self._next = Unfinished(self.path(packet_id)), packet_id
        self._room.lay(-(-size // STEP) * STEP)

    def trim(self) -> None:
        """In a quiet moment: give back what packets have left of their room. A cut of the power leaves it
        there."""
        for file in self._spacious:
            file.trim()
        self._spacious = []

    def give_up_room(self) -> None:
        """No packet is to come, or not from here."""
        if self._room is not None:
            with self._room:
                self._room = None

    def next_id(self) -> str:
        """The id of a packet to be made: the one that there is room for."""
        return self._next if self._room is not None else new_ulid()

    def create(self, packet_id: str) -> "Unfinished":
        """A file to be written. KitError disk-full, vault-damaged."""
        room, self._room = self._room, None
        if room is not None and packet_id == self._next:
            self._spacious.append(room)
            return room
        self._room = room
        return Unfinished(self.path(packet_id))

    def read(self, packet_id: str, size: int) -> bytes | None:
        """The so many bytes of a packet; None when it is not there. Behind them may lie what is left of its
        room. KitError vault-damaged when the disk cannot read them."""
        with _translated:
            try:
                with self.path(packet_id).open("rb") as file:
                    return file.read(size)
            except FileNotFoundError:
                return None

    def remove(self, packet_id: str) -> None:
        """Its name is gone when this returns, and from the disk with the folder's next flush or, at the
        latest, when the vault is opened."""
        self.path(packet_id).unlink(missing_ok=True)

    def ids(self) -> set[str]:
        """Of every packet that has a file, counted or not."""
        cut = slice(len(self._prefix), -len(_SUFFIX))
        there = (path.name for path in self._folder.iterdir())
        names = (name for name in there if name.startswith(self._prefix) and name.endswith(_SUFFIX))
        return {name[cut] for name in names if is_ulid(name[cut])}

    def clear(self, kept: Callable[[], set[str]]) -> None:
        """Remove every file that is not kept and that nobody writes any more."""
        for packet_id in self.ids() - kept():
            with suppress(FileNotFoundError, BlockingIOError):
                handle = os.open(self.path(packet_id), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if packet_id not in kept():  # it may have come to be kept until a moment ago
                        self.remove(packet_id)
                finally:
                    os.close(handle)


class Unfinished:
    """A packet's file until a row names it: a `Sink`, to be used from one thread.

    Only what is finished may be named by a row. Leave its `with` block once that is committed. What was not
    finished goes when the block is left; what was, and then found no row, stays for `Parcels.clear`: a commit
    that failed may have reached the disk."""

    def __init__(self, path: Path) -> None:
        """KitError disk-full, vault-damaged."""
        self._path = path
        self._at = 0
        self._laid = 0  # bytes that are on disk as zeros, with the file's name
        self._memory: mmap.mmap | None = None
        self._direct = False  # whether the file takes writes past the system's cache
        self._beside: ThreadPoolExecutor | None = None
        self._ahead: tuple[slice, Future[bool]] | None = None
        self._finished = False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with _translated:
            self._handle = os.open(path, flags, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __enter__(self) -> "Unfinished":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._beside is not None:
            self._beside.shutdown()
        if not self._finished:
            self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def lay(self, size: int) -> None:
        """Make it so many bytes of zeros, on disk when this returns. KitError disk-full, vault-damaged."""
        if size <= self._laid:
            return
        self._memory = _blank(size)
        self._memory[:] = bytes(size)  # it is there from now on, and not only promised
        with _translated:
            fcntl.fcntl(self._handle, fcntl.F_SETFL, 0)
            try:
                _write(self._handle, bytes(size - self._laid), self._laid)
                os.fsync(self._handle)
            except OSError:
                # Half of it would serve no packet, and take from the journal what a full disk has left.
                os.ftruncate(self._handle, self._laid)
                raise
            if not self._laid:
                _flush(self._path.parent)
        self._laid = size
        if size < LARGE:
            return
        with suppress(OSError):  # not every file system can
            # what the system remembers of it would be in the way when it is written past its cache
            os.posix_fadvise(self._handle, 0, size, os.POSIX_FADV_DONTNEED)
            fcntl.fcntl(self._handle, fcntl.F_SETFL, os.O_DIRECT)
            self._direct = True
        if self._beside is None:
            self._beside = ThreadPoolExecutor(1, "parcel")
            self._beside.submit(int).result()  # it runs from now on

    def trim(self) -> None:
        """Once its block is left: cut off what is behind the packet."""
        if self._finished and self._laid > self._at:
            with suppress(OSError):  # it may be gone again
                os.truncate(self._path, self._at)

    def space(self, size: int) -> memoryview:
        """Memory for a packet of so many bytes, which the disk takes as it is."""
        if self._memory is None or len(self._memory) < size:
            self._memory = _blank(size)
        self._at = size
        return memoryview(self._memory)[:size]

    def ready(self, start: int, end: int) -> None:
        """What is large is written from now on, while the caller works out its digest."""
        blocks = slice(-(-start // BLOCK) * BLOCK, end // BLOCK * BLOCK)
        if self._beside is not None and blocks.stop - blocks.start >= LARGE and end <= self._laid:
            self._ahead = blocks, self._beside.submit(self._past_cache, blocks)

    def begin(self, front: bytes) -> None:
        """All is there now: on its way to the disk when this returns. KitError disk-full, vault-damaged."""
        space = self.space(max(self._at, len(front)))
        space[: len(front)] = front
        with _translated:
            if self._beside is None or not self._overwrite_room():
                if self._direct:
                    fcntl.fcntl(self._handle, fcntl.F_SETFL, 0)
                end = self._end if self._end <= self._laid else self._at
                _write(self._handle, memoryview(self._memory or b"")[:end], 0)
                with suppress(OSError):
                    # "will not need it": so the system begins to write, while we do something else
                    os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_DONTNEED)

    def finish(self) -> None:
        """On disk when this returns, name and all. KitError disk-full, vault-damaged."""
        with _translated:
            os.fdatasync(self._handle)  # its size too, where it has grown
            if os.fstat(self._handle).st_nlink != 1:
                raise OSError(errno.ENOENT, "cleared away before it was finished")
            if not self._laid:
                _flush(self._path.parent)
        self._finished = True

    @property
    def _end(self) -> int:
        """Of the packet's last block: behind the packet is nothing but room."""
        return -(-self._at // BLOCK) * BLOCK

    def _overwrite_room(self) -> bool:
        """Where all of it overwrites room, past the system's cache: it need not be copied there first, and
        the disk has it before the flush. In whole blocks; behind the packet is nothing but room."""
        before, taken = slice(0, 0), True
        if self._ahead is not None:
            before, writing = self._ahead
            taken = writing.result()  # until then nothing else is done with the file
        if not (self._direct and taken) or self._end > self._laid:
            return False
        return all(map(self._past_cache, (slice(0, before.start), slice(before.stop, self._end))))

    def _past_cache(self, blocks: slice) -> bool:
        """False when the disk did not take them so."""
        assert self._memory is not None  # there is room
        size = blocks.stop - blocks.start
        with suppress(OSError):  # whatever it is: what cannot be written otherwise either is told then
            return not size or os.pwrite(self._handle, memoryview(self._memory)[blocks], blocks.start) == size
        return False


def _blank(size: int) -> mmap.mmap:
    """So much memory, in whole blocks and at the beginning of one, of zeros."""
    return mmap.mmap(-1, -(-max(size, 1) // BLOCK) * BLOCK)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(handle: int, data: bytes | memoryview, at: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(handle, rest, at)
        rest, at = rest[written:], at + written


class _Translated:
    """What the disk did, in the kit's words."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if not isinstance(problem, OSError):
            return
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise KitError(Code.DISK_FULL, Remedy.WORKSHOP, "no room for a packet") from problem
        raise KitError(Code.VAULT_DAMAGED, Remedy.WORKSHOP, f"packet: {problem.strerror}") from problem


_translated = _Translated()
