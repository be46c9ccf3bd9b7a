"""A competent service with an SFTP server: packet and manifest are dropped, receipts are fetched.

In the drop folder: `in/<packet_id>.sealed`, then `in/<packet_id>.json` (packet id, size, SHA-256), which says
that the packet is whole; the service puts its signed answer at `out/<packet_id>.jws`. Both files are written
under another name, synced and renamed. OpenSSH's own `sftp` speaks the protocol: it is kept, it is in Debian,
and it holds keys and known hosts the way every administrator knows.
"""

import hashlib
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.ids import is_ulid
from server.fleet.forwarding.answers import Answer, Failed, Later, Receipted, Unknown
from server.fleet.forwarding.receiptkeys import receipt_keys
from server.settings import Service as ServiceSettings
from server.settings import Sftp as SftpSettings

PATIENCE_S = 120.0
CONNECT_S = 10
ASK_AGAIN_S = 60.0
LONGEST_ANSWER = 64 * 1024


class Drop(msgspec.Struct, frozen=True):
    """The manifest beside a packet. `size` in bytes."""

    packet_id: str
    size: int
    sha256: str


class Sftp:
    """A `Connector`; a connection for each call, as packets are few and services close idle ones."""

    def __init__(self, settings: ServiceSettings, there: SftpSettings) -> None:
        self._settings, self._there = settings, there

    def offer(self, packet_id: str, packet: bytes) -> Answer:
        if not is_ulid(packet_id):
            return Failed("bad-packet-id")
        drop = Drop(packet_id, len(packet), hashlib.sha256(packet).hexdigest())
        with tempfile.TemporaryDirectory(prefix="drop-") as folder:
            sealed, manifest = Path(folder, "sealed"), Path(folder, "manifest")
            sealed.write_bytes(packet)  # sealed: nothing in it can be read here
            manifest.write_bytes(msgspec.json.encode(drop))
            failure = self._batch(
                f"put -f {sealed} in/.{packet_id}.sealed.part",
                f"put -f {manifest} in/.{packet_id}.json.part",
                f"-rm in/{packet_id}.sealed",  # of an earlier try that was cut between the renames
                f"-rm in/{packet_id}.json",
                f"rename in/.{packet_id}.sealed.part in/{packet_id}.sealed",
                f"rename in/.{packet_id}.json.part in/{packet_id}.json",
            )
        return failure or Later(ASK_AGAIN_S)

    def ask(self, packet_id: str) -> Answer:
        """Its answer; Later while it lies there or was taken in; Unknown when neither can be seen."""
        if not is_ulid(packet_id):
            return Failed("bad-packet-id")
        with tempfile.TemporaryDirectory(prefix="drop-") as folder:
            answer = Path(folder, "answer")
            failure = self._batch(f"-get out/{packet_id}.jws {answer}", "pwd")
            if failure is not None:
                return failure
            if not answer.exists():
                return self._taken(packet_id)
            if answer.stat().st_size > LONGEST_ANSWER:
                return Failed("answer-too-long")
            token = answer.read_bytes().strip()
        return Receipted(token.decode("ascii")) if token.isascii() else Failed("answer-malformed")

    def receipt_keys(self, now: datetime) -> dict[str, ec.EllipticCurvePublicKey]:
        return receipt_keys(self._settings.recipients, self._settings.list_key, now)

    def close(self) -> None:
        """There is nothing open."""

    def _taken(self, packet_id: str) -> Answer:
        """Services move what they took to `taken/`, or leave it in `in/` until they come to it."""
        for place in ("in", "taken"):
            failure = self._batch(f"ls -1 {place}/{packet_id}.json")
            if failure is None:
                return Later(ASK_AGAIN_S)
            if failure.code != "sftp-refused":
                return failure
        return Unknown()

    def _batch(self, *commands: str) -> Failed | None:
        """Run one batch; None when every command without a dash in front of it succeeded."""
        there = self._there
        argv = [
            "sftp", "-q", "-b", "-", "-P", str(there.port), "-i", str(there.key),
            "-o", f"UserKnownHostsFile={there.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null",
            "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"ConnectTimeout={CONNECT_S}",
            "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3",
            "-F", "none", f"{there.user}@{there.host}:{there.folder}",
        ]  # fmt: skip
        try:
            ran = subprocess.run(
                argv, input="\n".join(commands) + "\n", capture_output=True, text=True,
                timeout=PATIENCE_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Failed("sftp-slow")
        except FileNotFoundError:
            return Failed("sftp-not-installed")
        if ran.returncode == 0:
            return None
        # 255: the connection; anything else: a command the server refused.
        return Failed("sftp-unreachable" if ran.returncode == 255 else "sftp-refused")
