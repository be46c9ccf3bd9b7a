"""A stick (any folder) with sealed packets and receipts on it, as the kit reads and writes it.

Written whole or not at all, as far as a stick allows: a name of its own, flushed, renamed, the folder
flushed. All of it through one open folder: a stick that was pulled out, and another that came in its place
(or the empty folder it was mounted on), never get what was meant for this one.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from protocol import courier

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_PLAIN_FILE = {errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EACCES}


class NoStick(OSError):
    """The folder is not there, or has not what an import needs; the message is fit for a person."""


class Stick:
    """To be closed; while it is open, its file system is in use. Every call: OSError when it is full, pulled
    out or broken."""

    def __init__(self, root: Path, *, make: bool) -> None:
        """NoStick."""
        try:
            above = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError) as problem:
            raise NoStick(f"{root}: no such folder; is the stick in?") from problem
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(courier.FOLDER, dir_fd=above)
                    os.fsync(above)
            self._folder = os.open(courier.FOLDER, _FOLDER, dir_fd=above)
        except (FileNotFoundError, NotADirectoryError) as problem:
            raise NoStick(f"{root}: there is no folder {courier.FOLDER} on it") from problem
        except OSError as problem:
            if problem.errno == errno.ELOOP:
                raise NoStick(f"{root}: {courier.FOLDER} is no folder") from problem
            raise
        finally:
            os.close(above)
        try:
            self._begin(root, make)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._folder)

    def __enter__(self) -> "Stick":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _problem: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def put(self, name: str, data: bytes) -> bool:
        """Write a file; False when the same lies there already."""
        if self._take(name, len(data)) == data:
            return False
        partial = f"{name}{courier.PARTIAL}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(partial, flags, 0o644, dir_fd=self._folder), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):  # a full stick gets its room back; one that is gone cannot
                os.unlink(partial, dir_fd=self._folder)
            raise
        os.rename(partial, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)
        return True

    def packets(self) -> list[str]:
        """Ids, oldest first."""
        return self._ids(courier.PACKET)

    def receipts(self) -> list[str]:
        return self._ids(courier.RECEIPT)

    def take_packet(self, packet_id: str, limit: int) -> bytes | None:
        """None when it is larger than `limit`, or no plain file."""
        return self._take(courier.packet_name(packet_id), limit)

    def take_receipt(self, packet_id: str) -> str | None:
        data = self._take(courier.receipt_name(packet_id), courier.LONGEST_RECEIPT)
        return data.decode("ascii") if data is not None and data.isascii() else None

    def _begin(self, root: Path, make: bool) -> None:
        names = self._names()
        if make:
            for left in (name for name in names if name.endswith(courier.PARTIAL)):
                os.unlink(left, dir_fd=self._folder)
        if len(names) > courier.MOST_FILES:
            raise NoStick(f"{root}: more than {courier.MOST_FILES} files in {courier.FOLDER}")

    def _ids(self, suffix: str) -> list[str]:
        found = (courier.id_of(name, suffix) for name in self._names())
        return [packet_id for packet_id in found if packet_id]

    def _names(self) -> list[str]:
        with os.scandir(self._folder) as entries:
            return sorted(entry.name for entry in entries if not entry.name.startswith("."))

    def _take(self, name: str, limit: int) -> bytes | None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            handle = os.open(name, flags, dir_fd=self._folder)
        except OSError as problem:
            if problem.errno in _NO_PLAIN_FILE:
                return None
            raise
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            data = file.read(limit + 1)
        return data if len(data) <= limit else None
