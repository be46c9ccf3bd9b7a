"""From a packet file to its parts in a folder: all of them, or nothing at all."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from competent.failure import Failed
from protocol.sealed.outer import LARGEST, Outer
from protocol.sealed.packet import BadPacket, Fault, Opened

MANIFEST = "manifest.json"


def read_packet(path: Path) -> bytes:
    """The file's bytes. BadPacket too-large without reading more than a packet has; Failed cannot-read."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as problem:
        raise Failed("cannot-read", f"{path.name}: {problem.strerror}") from problem
    if len(data) > LARGEST:
        raise BadPacket(Fault.TOO_LARGE, f"more than {LARGEST} bytes")
    return data


def write_parts(opened: Opened, out: Path) -> None:
    """Write the manifest and every part into `out`, a folder that is empty or not there yet. Failed.

    They are written and synced beside it under another name; one rename makes them appear."""
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise Failed("out-in-use", "give a folder that is empty or does not exist")
    parent = out.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=".opening-", dir=parent))
    except OSError as problem:
        raise Failed("cannot-write", f"{parent.name}: {problem.strerror}") from problem
    try:
        _write(waiting / MANIFEST, opened.outer.manifest_bytes)
        for part in opened.parts:
            _write(waiting / part.name, part.data)
        _sync_folder(waiting)
        waiting.rename(out)  # takes the place of an empty folder
        _sync_folder(parent)
    except OSError as problem:
        raise Failed("cannot-write", f"{out.name}: {problem.strerror}") from problem
    finally:
        shutil.rmtree(waiting, ignore_errors=True)


def write_packet(data: bytes, out: Path) -> None:
    """Write a packet to `out`, a file that is not there yet: all of it or nothing. Failed."""
    if out.is_symlink() or out.exists():
        raise Failed("out-in-use", "give a file that does not exist")
    waiting = out.with_name(f".{out.name}.new")
    try:
        waiting.unlink(missing_ok=True)
        _write(waiting, data)
        waiting.rename(out)
        _sync_folder(out.absolute().parent)
    except OSError as problem:
        raise Failed("cannot-write", f"{out.name}: {problem.strerror}") from problem
    finally:
        waiting.unlink(missing_ok=True)


def explain(outer: Outer) -> dict[str, Any]:
    """What can be said of a packet without opening it."""
    return {"manifest_sha256": outer.manifest_sha256, "manifest": msgspec.to_builtins(outer.manifest)}


TEST_FLAGS = frozenset({"test-recipients", "test-trust", "example-picture"})
"""With any of these an application was made in a trial: sealed to a list for tests, with a card that only
test roots vouch for, or with a picture of nobody."""


def summary(opened: Opened) -> dict[str, Any]:
    """What was opened, without any of its content."""
    manifest = opened.outer.manifest
    return {
        "verdict": "opened",
        "packet_id": manifest.packet_id,
        "manifest_sha256": opened.outer.manifest_sha256,
        "visit_id": manifest.visit_id,
        "service_id": manifest.service_id,
        "tenant": manifest.tenant,
        "kit_id": manifest.kit_id,
        "officer_id": manifest.officer_id,
        "created_utc": manifest.created_utc,
        "seq": manifest.seq,
        "flags": list(manifest.flags),
        "test": bool(TEST_FLAGS.intersection(manifest.flags)),
        "suite": manifest.suite,
        "officer_signature": manifest.officer_signature,
        "supplements": msgspec.to_builtins(manifest.supplements) if manifest.supplements else None,
        "shredded": list(opened.shredded),
        "parts": [
            msgspec.to_builtins(content)
            for content in manifest.contents
            if content.group not in opened.shredded
        ],
    }


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
