"""The sticks that are in the kit just now: what is mounted in one folder, and what lies on each."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from protocol import courier

MOST = 4  # that are shown; a kit has no more sockets
_LONGEST_NAME = 32


@dataclass(frozen=True)
class Found:
    """One stick. `name` is its folder's, made fit for a screen; counts are of finished files."""

    name: str
    path: Path
    packets: int = 0
    receipts: int = 0
    free_mb: int = 0
    state: Literal["ready", "read-only", "unreadable"] = "ready"


class Sticks:
    """`media`: the folder in which the system mounts sticks. `folders`: a plain folder counts as a stick as
    well (a demo, a test); otherwise only what is mounted does, as the empty folder of a stick that was pulled
    out lies on the kit itself."""

    def __init__(self, media: Path, *, folders: bool) -> None:
        self._media, self._folders = media, folders

    def found(self) -> list[Found]:
        """By name. May take long with a broken stick; never raises for one."""
        try:
            entries = sorted(entry for entry in self._media.iterdir() if not entry.name.startswith("."))
        except OSError:
            return []
        return [_looked_at(path) for path in entries if self._is_stick(path)][:MOST]

    def path_of(self, name: str) -> Path | None:
        """Of a stick that is in; None for any other name."""
        return next((each.path for each in self.found() if each.name == name), None)

    def _is_stick(self, path: Path) -> bool:
        try:
            return not path.is_symlink() and path.is_dir() and (self._folders or path.is_mount())
        except OSError:
            return False


def _looked_at(path: Path) -> Found:
    name = "".join(sign if sign.isprintable() else "?" for sign in path.name)[:_LONGEST_NAME]
    try:
        room = os.statvfs(path)
        names = _names(path / courier.FOLDER)
    except OSError:
        return Found(name, path, state="unreadable")
    return Found(
        name,
        path,
        sum(bool(courier.id_of(each, courier.PACKET)) for each in names),
        sum(bool(courier.id_of(each, courier.RECEIPT)) for each in names),
        room.f_bavail * room.f_frsize // 1_000_000,
        "read-only" if room.f_flag & os.ST_RDONLY else "ready",
    )


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
