"""Sealed packets that came on a stick, and receipts that go back on one (docs/protocol.md 9).

A packet from a stick goes through the same uploads as any other: fenced, judged, committed once.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from io import BufferedReader
from pathlib import Path
from typing import Literal

from sqlalchemy import select

from protocol import courier
from protocol.sealed.outer import LARGEST, read_outer
from protocol.sealed.refusal import BadPacket
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Application
from server.fleet import uploads
from server.fleet.blobs import sync_folder
from server.fleet.refused import Refused
from server.fleet.uploads import LONGEST_PATCH, Dock, OutOfStep


@dataclass(frozen=True)
class Carried:
    """One file of the stick, and what became of it; `code` says why it was refused."""

    packet_id: str
    what: Literal["packet", "receipt"]
    outcome: Literal["taken", "there", "refused"]
    code: str = ""


def take_in(database: Database, dock: Dock, stick: Path, clock: Callable[[], datetime]) -> Iterator[Carried]:
    """Every packet on the stick, oldest first. Refused no-stick."""
    folder = stick / courier.FOLDER
    if not folder.is_dir() or folder.is_symlink():
        raise Refused("no-stick")
    names = sorted(entry.name for entry in folder.iterdir())
    if len(names) > courier.MOST_FILES:
        raise Refused("too-many-files")
    for name in names:
        packet_id = courier.id_of(name, courier.PACKET)
        if packet_id:
            try:
                is_new = _take(database, dock, folder / name, packet_id, clock)
            except (Refused, OutOfStep) as problem:
                yield Carried(packet_id, "packet", "refused", problem.code)
            else:
                yield Carried(packet_id, "packet", "taken" if is_new else "there")


def give_out(database: Database, stick: Path) -> Iterator[Carried]:
    """The receipts that kits have not confirmed to hold, onto the stick. Refused no-stick; OSError when
    full."""
    if not stick.is_dir():
        raise Refused("no-stick")
    folder = stick / courier.FOLDER
    folder.mkdir(exist_ok=True)
    for left in folder.glob(f"*{courier.PARTIAL}"):
        left.unlink()
    waiting = (
        select(Application.packet_id, Application.receipt)
        .where(Application.receipt.is_not(None), Application.receipt_on_kit.is_(None))
        .order_by(Application.packet_id)
        .limit(courier.MOST_FILES)
    )
    with database.reading(EVERYONE) as db:
        receipts = db.execute(waiting).all()
    for packet_id, token in receipts:
        is_new = _put(folder, courier.receipt_name(packet_id), (token or "").encode("ascii"))
        yield Carried(packet_id, "receipt", "taken" if is_new else "there")


def _take(database: Database, dock: Dock, path: Path, packet_id: str, clock: Callable[[], datetime]) -> bool:
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise Refused("too-large")
        digest = file_digest(file, "sha256").hexdigest()
        file.seek(0)
        try:
            manifest = read_outer(file).manifest
        except BadPacket as problem:
            raise Refused(problem.code) from problem
        if manifest.packet_id != packet_id:
            raise Refused("wrong-packet-id")
        standing = uploads.begin(database, dock, manifest.kit_id, packet_id, size, digest, clock())
        is_new = standing.state == "open"
        while standing.state == "open":
            file.seek(standing.offset)
            piece = file.read(LONGEST_PATCH)
            if not piece:
                raise Refused("truncated")  # the file is not what it was a moment ago
            standing = uploads.write(
                *(database, dock, manifest.kit_id, packet_id),
                *(standing.offset, standing.generation, piece, clock()),
            )
        return is_new


def _opened(path: Path) -> BufferedReader:
    """Refused not-a-packet for what is no plain file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise Refused("not-a-packet") from problem
    return os.fdopen(handle, "rb")


def _put(folder: Path, name: str, data: bytes) -> bool:
    target, partial = folder / name, folder / f"{name}{courier.PARTIAL}"
    if target.is_file() and not target.is_symlink() and target.read_bytes() == data:
        return False
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(target)
    sync_folder(folder)
    return True
