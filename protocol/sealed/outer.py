"""The container `thuisloket-packet/1` from outside: manifest, signatures, and where the sealed files lie.

Whoever routes a packet (the fleet) gets this far and no further: everything here is checked without a key.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import BinaryIO

import msgspec
from cryptography import x509

from protocol import canonical, signed
from protocol.identity import Role, role_of, serial_of
from protocol.instant import read_instant
from protocol.sealed import manifest as manifests
from protocol.sealed.manifest import Manifest, Payload
from protocol.sealed.refusal import BadPacket, Fault
from protocol.sealed.webauthn import Assertion, verify_assertion

MAGIC = b"thuisloket-packet/1\n"
LONGEST_BLOCK = 65_536  # bytes of manifest.json, and of signatures.json
LARGEST = 32 * 1024 * 1024  # bytes of a whole packet
KIT_KIND = "manifest"
OFFICER_KIND = "manifest-officer"
OLDEST = timedelta(days=90)  # Regulation (EU) 2025/1208: prints are kept at most 90 days
SKEW = timedelta(days=1)  # a kit's clock may be this far ahead
_PIECE = 256 * 1024


class Signatures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Detached JWS over the bytes of manifest.json; of an officer with a security key, its assertion."""

    kit: str
    officer: str | Assertion


_decoder = msgspec.json.Decoder(Signatures)
_encoder = msgspec.json.Encoder(
    order="sorted"
)  # strings and what is made of them: as canonical JSON spells them


@dataclass(frozen=True)
class Outer:
    """A packet's outside. `manifest_sha256` is what receipts and the next `prev` name."""

    manifest: Manifest
    manifest_bytes: bytes = field(repr=False)
    manifest_sha256: str
    signatures: Signatures = field(repr=False)
    payload_offset: int


def write_outer(manifest_bytes: bytes, signatures: Signatures) -> bytes:
    """Everything before the payload."""
    signed_by = _encode(signatures)
    blocks = [part for data in (manifest_bytes, signed_by) for part in (len(data).to_bytes(4), data)]
    return b"".join([MAGIC, *blocks])


def _encode(signatures: Signatures) -> bytes:
    return _encoder.encode(signatures)


def read_outer(source: bytes | BinaryIO) -> Outer:
    """Read as far as the payload; a stream is left standing there. BadPacket; no signature is checked yet."""
    stream: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    magic = stream.read(len(MAGIC))
    if magic != MAGIC:
        cut = MAGIC.startswith(magic) and magic
        raise BadPacket(Fault.TRUNCATED if cut else Fault.NOT_A_PACKET, "the first line")
    data = _read_block(stream, "manifest")
    manifest = manifests.decode(data)
    raw = _read_block(stream, "signatures")
    try:
        signatures = _decoder.decode(raw)
        if _encode(signatures) != raw:
            raise canonical.NotCanonical("not in canonical form")
    except (msgspec.DecodeError, ValueError) as problem:  # not UTF-8, or not canonical
        raise BadPacket(Fault.SIGNATURES_MALFORMED, str(problem)[:200]) from problem
    if isinstance(signatures.officer, str) != (manifest.officer_signature == "pin-key"):
        raise BadPacket(Fault.SIGNATURES_MALFORMED, "not the kind of officer signature the manifest names")
    offset = len(MAGIC) + 4 + len(data) + 4 + len(raw)
    if offset + sum([4 + one.size for one in manifest.payload]) > LARGEST:
        raise BadPacket(Fault.TOO_LARGE, "payload")
    return Outer(manifest, data, manifests.digest(data), signatures, offset)


def write_payload(files: Sequence[bytes]) -> list[bytes]:
    """The sealed files of the groups as they follow the signatures, for joining."""
    return [part for data in files for part in (len(data).to_bytes(4), data)]


def read_payload(outer: Outer, source: bytes | BinaryIO, *, missing_ok: bool = False) -> dict[str, bytes]:
    """The sealed files by group, each the one the manifest signs; `source` as `check_payload`, or all bytes.

    BadPacket. With `missing_ok` a group that was shredded is left out; else it is group-missing."""
    stream: BinaryIO = io.BytesIO(source) if isinstance(source, bytes) else source
    if isinstance(source, bytes):
        stream.seek(outer.payload_offset)
    files = {
        described.group: b"".join(_file(described, stream, missing_ok))
        for described in outer.manifest.payload
    }
    _check_end(stream)
    return {group: data for group, data in files.items() if data}


def check_payload(outer: Outer, stream: BinaryIO) -> None:
    """As `read_payload`, from a stream standing at the payload, keeping nothing: no group is missing, size
    and digest are those of the manifest. BadPacket."""
    for described in outer.manifest.payload:
        for _ in _file(described, stream, missing_ok=False):
            pass
    _check_end(stream)


def check_signatures(
    outer: Outer,
    kit_roots: Iterable[x509.Certificate],
    officer_roots: Iterable[x509.Certificate],
    at: datetime,
) -> None:
    """Kit and officer signed this manifest, with certificates that lead to the roots, valid when it was made.

    A packet from more than a day ahead of `at`, or older than 90 days, is refused: else the key of a
    certificate long expired could still date a packet back into its life. BadPacket."""
    created = read_instant(outer.manifest.created_utc)
    if created > at + SKEW:
        raise BadPacket(Fault.FROM_THE_FUTURE, outer.manifest.created_utc)
    if created < at - OLDEST:
        raise BadPacket(Fault.TOO_OLD, outer.manifest.created_utc)
    kit = _kit(outer, kit_roots, created)
    officer = _officer(outer, officer_roots, created)
    if role_of(kit)[1] != outer.manifest.kit_id or serial_of(kit) != outer.manifest.kit_cert_serial:
        raise BadPacket(Fault.WRONG_SIGNER, "not the kit of the manifest")
    if role_of(officer)[1] != outer.manifest.officer_id:
        raise BadPacket(Fault.WRONG_SIGNER, "not the officer of the manifest")


_CERTIFICATE_FAULTS = {
    "certificate-untrusted": Fault.CERTIFICATE_UNTRUSTED,
    "certificate-expired": Fault.CERTIFICATE_EXPIRED,
    "certificate-usage": Fault.CERTIFICATE_USAGE,
    "certificate-subject": Fault.UNKNOWN_ROLE,
    "certificate-role": Fault.UNKNOWN_ROLE,
    "unknown-role": Fault.UNKNOWN_ROLE,
}


def _kit(outer: Outer, roots: Iterable[x509.Certificate], at: datetime) -> x509.Certificate:
    token, data = outer.signatures.kit, outer.manifest_bytes
    try:
        return signed.verify_detached_chain(token, KIT_KIND, data, roots, Role.KIT_SIGN, at)
    except signed.BadSignature as problem:
        raise _refusal(problem, Fault.KIT_SIGNATURE) from problem


def _officer(outer: Outer, roots: Iterable[x509.Certificate], at: datetime) -> x509.Certificate:
    by, data = outer.signatures.officer, outer.manifest_bytes
    try:
        if isinstance(by, Assertion):
            return verify_assertion(by, hashlib.sha256(data).digest(), roots, at)
        return signed.verify_detached_chain(by, OFFICER_KIND, data, roots, Role.OFFICER, at)
    except signed.BadSignature as problem:
        raise _refusal(problem, Fault.OFFICER_SIGNATURE) from problem


def _refusal(problem: signed.BadSignature, plain: Fault) -> BadPacket:
    return BadPacket(_CERTIFICATE_FAULTS.get(problem.code, plain), f"{plain}: {problem}")


def _read_block(stream: BinaryIO, name: str) -> bytes:
    head = stream.read(4)
    if len(head) < 4:
        raise BadPacket(Fault.TRUNCATED, name)
    size = int.from_bytes(head)
    if size > LONGEST_BLOCK:
        raise BadPacket(Fault.TOO_LARGE, name)
    data = stream.read(size)
    if len(data) < size:
        raise BadPacket(Fault.TRUNCATED, name)
    return data


def _file(described: Payload, stream: BinaryIO, missing_ok: bool) -> Iterator[bytes]:
    """One group's file, piece by piece; nothing for a group that was shredded."""
    head = stream.read(4)
    if len(head) < 4:
        raise BadPacket(Fault.TRUNCATED, described.group)
    left = int.from_bytes(head)
    if left == 0:
        if missing_ok:
            return
        raise BadPacket(Fault.GROUP_MISSING, described.group)
    if left != described.size:
        raise BadPacket(Fault.PAYLOAD_DIGEST, f"{described.group}: another size")
    hashed = described.hashed()
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise BadPacket(Fault.TRUNCATED, described.group)
        left -= len(piece)
        hashed.update(piece)
        yield piece
    if not described.is_of(hashed):
        raise BadPacket(Fault.PAYLOAD_DIGEST, described.group)


def _check_end(stream: BinaryIO) -> None:
    if stream.read(1):
        raise BadPacket(Fault.TRAILING_BYTES, "after the payload")
