"""The one door to files kept by content: a digest in, bytes out. On the disk before `put` returns."""

import os
from hashlib import sha256
from pathlib import Path

from protocol.ids import is_sha256


class BlobStore:
    """Blobs under `root/ab/abcdef...`, named by the SHA-256 of what they hold."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes) -> str:
        """Keep `data`; its digest."""
        digest = sha256(data).hexdigest()
        part = self.root / f"{digest}.{os.getpid()}.part"
        self.root.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self.adopt(part, digest)
        part.unlink()
        return digest

    def adopt(self, source: Path, digest: str) -> None:
        """Keep the file `source` too (a second name for it). Its bytes are fsynced and have `digest`."""
        target = self._path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except FileExistsError:
            return
        sync_folder(target.parent)
        sync_folder(self.root)

    def read(self, digest: str) -> bytes:
        """The bytes behind `digest`. FileNotFoundError when they are not here."""
        return self._path(digest).read_bytes()

    def drop(self, digest: str) -> None:
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        if not is_sha256(digest):
            raise ValueError("not a SHA-256 digest")
        return self.root / digest[:2] / digest


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
