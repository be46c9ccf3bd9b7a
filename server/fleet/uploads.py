"""Sealed packets coming in over bad links: resumable, one writer at a time, on the disk before it is said so.

Every begin raises the upload's generation; a writer with an older one is fenced off, whatever it still sends.
The row is locked from the check of generation and offset until the bytes are fsynced and the offset committed
(an unfenced server corrupted 4 of 6 uploads in our measurements).
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import file_digest
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol.custody import sealing
from protocol.ids import is_sha256, is_ulid
from protocol.sealed.outer import LARGEST, check_payload, check_signatures, read_outer
from protocol.sealed.refusal import BadPacket
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.db.tables import Application, Upload
from server.db.turns import take_turn
from server.fleet import applications, kits, visits
from server.fleet.applications import Packet
from server.fleet.blobs import BlobStore, sync_folder
from server.fleet.refused import Refused

LONGEST_PATCH = 131_072
KEPT = timedelta(days=14)


class OutOfStep(Exception):
    """A writer that is behind: of an older generation, or at another offset than ours."""

    def __init__(self, code: Literal["generation", "offset"], offset: int, generation: int) -> None:
        super().__init__(code)
        self.code = code
        self.offset = offset
        self.generation = generation


@dataclass(frozen=True)
class Standing:
    """Where an upload stands."""

    offset: int
    generation: int
    state: Literal["open", "complete"]


@dataclass(frozen=True)
class Dock:
    """Where packets land: parts under way, whole ones by content, and the roots that signers must lead to."""

    parts: Path
    blobs: BlobStore
    roots: Sequence[x509.Certificate]


def begin(
    database: Database, dock: Dock, kit_id: str, packet_id: str, size: int, sha256: str, now: datetime
) -> Standing:
    """Begin or resume. Refused: bad-packet-id, bad-size, bad-digest, packet-differs, and
    whatever `_complete` refuses when the bytes are all here."""
    if not is_ulid(packet_id):
        raise Refused("bad-packet-id")
    if not 0 < size <= LARGEST:
        raise Refused("bad-size")
    if not is_sha256(sha256):
        raise Refused("bad-digest")
    with database.writing(EVERYONE) as db:
        take_turn(db, f"upload {packet_id}")
        row = db.get(Upload, packet_id, with_for_update=True)
        if row is not None and row.state != "complete":
            row.kit_id = kit_id  # who carries it now: any kit of ours may, the packet says itself whose it is
        if row is None:
            row = Upload(packet_id=packet_id, kit_id=kit_id, generation=0, written=0, state="open", reason="")
            row.size, row.sha256 = size, sha256
            db.add(row)
        elif (row.size, row.sha256) != (size, sha256):
            if row.state == "complete":
                raise Refused("packet-differs")
            _drop(db, dock, row)
            row.size, row.sha256, row.written, row.state, row.reason = size, sha256, 0, "open", ""
            row.whole = None
        elif row.state == "refused":
            row.state, row.reason = "open", ""  # what was wrong may have been put right: judge again
        row.generation += 1
        row.touched = now
        standing = _standing(row)
    if standing.state == "open" and standing.offset == size:
        _complete(database, dock, packet_id, standing.generation, now)
        return Standing(size, standing.generation, "complete")
    if standing.state == "complete":
        (dock.parts / packet_id).unlink(missing_ok=True)  # killed after the commit, it was left behind
    return standing


def write(
    database: Database,
    dock: Dock,
    kit_id: str,
    packet_id: str,
    offset: int,
    generation: int,
    data: bytes,
    now: datetime,
) -> Standing:
    """Add `data` at `offset`. It is on the disk when this returns; the last bytes also complete the upload.

    OutOfStep; Refused: unknown-upload, too-long, unknown-kit (revoked while it sent this), and whatever
    `_complete` refuses."""
    if len(data) > LONGEST_PATCH:
        raise Refused("too-long")
    with database.writing(EVERYONE) as db:
        row = db.get(Upload, packet_id, with_for_update=True)
        if row is None or row.kit_id != kit_id:
            raise Refused("unknown-upload")
        if kits.active(db, kit_id) is None:
            raise Refused("unknown-kit")
        _fence(row, generation)
        if row.state != "open" or row.written != offset:
            raise OutOfStep("offset", row.written, row.generation)
        if offset + len(data) > row.size:
            raise Refused("too-long")
        _write(dock.parts / packet_id, offset, data)
        row.written = offset + len(data)
        row.touched = now
        whole = row.written == row.size
        row.whole = now if whole else None
        standing = _standing(row)
    if whole:
        _complete(database, dock, packet_id, generation, now)
        return Standing(standing.offset, standing.generation, "complete")
    return standing


class Writer:
    """One PATCH, written as its bytes come in: what has come is kept when the connection breaks in
    between."""

    def __init__(
        self,
        database: Database,
        dock: Dock,
        kit_id: str,
        packet_id: str,
        generation: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._at = database, dock, kit_id, packet_id
        self._generation, self._clock = generation, clock

    def write(self, offset: int, data: bytes) -> Standing:
        """As `write`."""
        return write(*self._at, offset, self._generation, data, self._clock())


def sweep(database: Database, dock: Dock, now: datetime) -> int:
    """Drop uploads that nobody has touched for KEPT and that were never committed; how many. And the parts of
    committed ones: whoever committed them was killed before their part was gone."""
    with database.writing(EVERYONE) as db:
        untouched = select(Upload).where(Upload.touched < now - KEPT, Upload.state != "complete")
        old = db.scalars(untouched.with_for_update(skip_locked=True)).all()  # locked: somebody just came back
        for row in old:
            _drop(db, dock, row)
            db.delete(row)
    _drop_committed(database, dock)
    return len(old)


def _drop(db: Session, dock: Dock, row: Upload) -> None:
    """The bytes of an upload that is no application: also what was kept already when its commit failed."""
    (dock.parts / row.packet_id).unlink(missing_ok=True)
    take_turn(db, f"blob {row.sha256}")  # the same bytes may be kept under their own name at this moment
    if not _known(db, row.sha256):
        dock.blobs.drop(row.sha256)


def _drop_committed(database: Database, dock: Dock) -> None:
    there = [path.name for path in dock.parts.iterdir()] if dock.parts.exists() else []
    with database.reading(EVERYONE) as db:
        committed = select(Upload.packet_id).where(Upload.packet_id.in_(there), Upload.state == "complete")
        for packet_id in db.scalars(committed):
            (dock.parts / packet_id).unlink(missing_ok=True)


def _complete(database: Database, dock: Dock, packet_id: str, generation: int, now: datetime) -> None:
    """Judge the whole packet, keep it, and commit it with the work of forwarding it: the kit may then rely
    on us. Refused with the code of what is wrong; the refusal is remembered. OutOfStep: somebody has begun
    anew meanwhile, so that what lies there may no longer be what was judged."""
    with database.reading(EVERYONE) as db:
        row = db.get_one(Upload, packet_id)
        kit = kits.active(db, row.kit_id)
    part = dock.parts / packet_id
    try:
        if kit is None:
            raise Refused("unknown-kit")
        packet = _judge(dock, row, part, now)
        with database.reading(EVERYONE) as db:
            if kits.active(db, packet.kit_id) is None:
                raise Refused("unknown-kit")
        with database.writing(EVERYONE) as db:
            done = _of_generation(db, packet_id, generation)
            given = visits.was_of(db, packet.visit_id, packet.tenant, packet.kit_id)
            if not (given or kits.serves(db, packet.kit_id, packet.tenant)):
                raise Refused("foreign-visit")
            application = applications.arrived(db, packet, now)
            done.state, done.whole = "complete", None
            if application.blob_sha256 == row.sha256:  # not when it is over already: nobody would destroy it
                # In here nobody else may touch the part; and last, so that what is refused was never kept.
                take_turn(db, f"blob {row.sha256}")
                dock.blobs.adopt(part, row.sha256)
    except FileNotFoundError:
        _check_lost(database, packet_id, generation)
        return
    except Refused as problem:
        with database.writing(EVERYONE) as db:
            refused = _of_generation(db, packet_id, generation)
            refused.state, refused.reason = "refused", problem.code
            if problem.code == "digest":
                refused.written, refused.whole = 0, None  # not what the kit sealed: have them all again
        raise
    part.unlink(missing_ok=True)


def _of_generation(db: Session, packet_id: str, generation: int) -> Upload:
    """The row, locked. OutOfStep."""
    row = db.get_one(Upload, packet_id, with_for_update=True)
    _fence(row, generation)
    return row


def _fence(row: Upload, generation: int) -> None:
    """OutOfStep for who has been overtaken by a later begin."""
    if row.generation != generation:
        raise OutOfStep("generation", row.written, row.generation)


def _check_lost(database: Database, packet_id: str, generation: int) -> None:
    """The part is gone: another writer completed it just now, or the disk lost it: OutOfStep."""
    with database.writing(EVERYONE) as db:
        row = db.get_one(Upload, packet_id, with_for_update=True)
        complete = row.state == "complete"
        if not complete:
            _fence(row, generation)
            row.written, row.whole = 0, None
    if not complete:
        raise OutOfStep("offset", 0, generation)


def _judge(dock: Dock, row: Upload, part: Path, now: datetime) -> Packet:
    """What may be known of the packet without a key to it."""
    with part.open("rb") as file:
        if file_digest(file, "sha256").hexdigest() != row.sha256:
            raise Refused("digest")
        file.seek(0)
        try:
            outer = read_outer(file)
            check_payload(outer, file)
            check_signatures(outer, dock.roots, dock.roots, now)
        except BadPacket as problem:
            raise Refused(problem.code) from problem
    manifest = outer.manifest
    if manifest.packet_id != row.packet_id:
        raise Refused("wrong-packet-id")
    about = manifest.supplements
    return Packet(
        packet_id=manifest.packet_id,
        visit_id=manifest.visit_id,
        tenant=manifest.tenant,
        service_id=manifest.service_id,
        kit_id=manifest.kit_id,
        kit_cert_serial=manifest.kit_cert_serial,
        seq=manifest.seq,
        manifest_sha256=outer.manifest_sha256,
        size=row.size,
        blob_sha256=row.sha256,
        sealing=sealing(outer.manifest_bytes, outer.signatures.kit),
        supplements=about.packet_id if about is not msgspec.UNSET else "",
        parts=about.parts if about is not msgspec.UNSET else (),
    )


def _known(db: Session, digest: str) -> bool:
    return db.scalar(select(Application.packet_id).where(Application.blob_sha256 == digest)) is not None


def _standing(row: Upload) -> Standing:
    return Standing(row.written, row.generation, "complete" if row.state == "complete" else "open")


def _write(path: Path, offset: int, data: bytes) -> None:
    new = not path.exists()
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        done = 0
        while done < len(data):
            done += os.pwrite(handle, data[done:], offset + done)
        # Anything longer was written by a transaction that did not commit.
        os.ftruncate(handle, offset + len(data))
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        sync_folder(path.parent)
