"""A stick (any folder) with sealed packets and receipts on it, as the kit reads and writes it.

Written whole or not at all, as far as a stick allows: a name of its own, flushed, renamed, the folder
flushed.
"""

import os
from pathlib import Path

from device.spool import safefile
from protocol import courier


class NoStick(OSError):
    """The folder is not there, or has not what an import needs; the message is fit for a person."""


class Stick:
    def __init__(self, root: Path, *, make: bool) -> None:
        """NoStick."""
        if not root.is_dir():
            raise NoStick(f"{root}: no such folder; is the stick in?")
        self._at = root / courier.FOLDER
        if make:
            self._at.mkdir(exist_ok=True)
            for left in self._at.glob(f"*{courier.PARTIAL}"):
                left.unlink()
        if not self._at.is_dir() or self._at.is_symlink():
            raise NoStick(f"{root}: there is no folder {courier.FOLDER} on it")
        if len(safefile.names(self._at)) > courier.MOST_FILES:
            raise NoStick(f"{self._at}: more than {courier.MOST_FILES} files")

    def put(self, name: str, data: bytes) -> bool:
        """Write a file; False when the same lies there already. OSError when the stick is full or gone."""
        target = self._at / name
        if safefile.take(target, len(data)) == data:
            return False
        partial = self._at / f"{name}{courier.PARTIAL}"
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
        safefile.flush_folder(self._at)
        return True

    def packets(self) -> list[str]:
        """Ids, oldest first."""
        return self._ids(courier.PACKET)

    def receipts(self) -> list[str]:
        return self._ids(courier.RECEIPT)

    def take_packet(self, packet_id: str, limit: int) -> bytes | None:
        """None when it is larger than `limit`, or no plain file."""
        return safefile.take(self._at / courier.packet_name(packet_id), limit)

    def take_receipt(self, packet_id: str) -> str | None:
        data = safefile.take(self._at / courier.receipt_name(packet_id), courier.LONGEST_RECEIPT)
        return data.decode("ascii") if data is not None and data.isascii() else None

    def _ids(self, suffix: str) -> list[str]:
        found = (courier.id_of(name, suffix) for name in safefile.names(self._at))
        return [packet_id for packet_id in found if packet_id]
