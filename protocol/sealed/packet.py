"""Sealing an application and opening it again (docs/protocol.md section 3), whole and in memory.

The order of opening is that of trust: container, manifest, signatures, payload digest, and only then keys.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import signed
from protocol.sealed import age, manifest
from protocol.sealed.archive import BadArchive, read_archive, write_archive
from protocol.sealed.manifest import Content, Core, Manifest, Payload, RecipientId
from protocol.sealed.outer import (
    KIT_KIND,
    OFFICER_KIND,
    Outer,
    Signatures,
    check_signatures,
    read_outer,
    read_payload,
    write_outer,
)
from protocol.sealed.recipients import Recipient
from protocol.sealed.refusal import BadPacket, Fault

__all__ = [
    "BadPacket",
    "Core",
    "Fault",
    "Opened",
    "Outer",
    "Part",
    "Sealed",
    "Signer",
    "contents_of",
    "kids_of",
    "open_packet",
    "read_outer",
    "seal",
]

STANZA = "thuisloket.be/manifest"
STANZA_VERSION = "v1"


@dataclass(frozen=True)
class Part:
    """One file of the application."""

    name: str
    type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Signer:
    """A P-256 key and its certificates, leaf first, without the root."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: Sequence[x509.Certificate]


@dataclass(frozen=True)
class Sealed:
    """The packet, and what the journal, the next `prev` and the receipt will name it by."""

    data: bytes = field(repr=False)
    manifest: Manifest
    manifest_sha256: str


@dataclass(frozen=True)
class Opened:
    """An application as the kit sealed it, every check passed."""

    outer: Outer
    parts: tuple[Part, ...]


def contents_of(parts: Sequence[Part]) -> tuple[Content, ...]:
    """What the manifest says of the parts."""
    return tuple(
        Content(
            name=part.name, type=part.type, size=len(part.data), sha256=hashlib.sha256(part.data).hexdigest()
        )
        for part in parts
    )


def kids_of(recipients: Sequence[Recipient]) -> tuple[RecipientId, ...]:
    """How the manifest names the recipients."""
    return tuple(RecipientId(kid=recipient.kid) for recipient in recipients)


def seal(
    parts: Sequence[Part], core: Core, recipients: Sequence[Recipient], kit: Signer, officer: Signer
) -> Sealed:
    """The packet of `parts`, opened only by `recipients`, signed by kit and officer.

    ValueError when `core` does not describe exactly these parts and recipients; BadPacket when the manifest
    breaks a rule its reader checks, so that a kit cannot seal what its service would refuse."""
    if core.contents != contents_of(parts) or core.recipients != kids_of(recipients):
        raise ValueError("the core describes other parts or recipients")
    core_bytes = manifest.encode(core)
    archive = write_archive([(manifest.CORE_NAME, core_bytes), *((part.name, part.data) for part in parts)])
    payload = age.encrypt(archive, [recipient.age1pq for recipient in recipients], [_stanza(core_bytes)])
    whole = Manifest(
        **{name: getattr(core, name) for name in core.__struct_fields__},
        payload=Payload(sha512=hashlib.sha512(payload).hexdigest(), size=len(payload)),
    )
    data = manifest.encode(whole)
    by = Signatures(kit=_sign(KIT_KIND, data, kit), officer=_sign(OFFICER_KIND, data, officer))
    packet = write_outer(data, by) + payload
    outer = read_outer(packet)
    return Sealed(packet, outer.manifest, outer.manifest_sha256)


def open_packet(
    data: bytes,
    identities: Sequence[str],
    kit_roots: Iterable[x509.Certificate],
    officer_roots: Iterable[x509.Certificate],
    at: datetime,
) -> Opened:
    """The application in `data`, opened with any of the age `identities`; `at` has a zone and is usually now.

    BadPacket with the reason for anything that is not exactly as a kit sealed it; agekeys.BadKey for an
    identity that is none."""
    outer = read_outer(data)
    check_signatures(outer, kit_roots, officer_roots, at)
    payload = read_payload(outer, data)
    core = manifest.core_of(outer.manifest)
    try:
        _check_stanzas(age.read_header(payload).stanzas, core, len(outer.manifest.recipients))
        members = read_archive(age.decrypt(payload, identities))
    except age.BadAge as problem:
        raise BadPacket(Fault(problem.code), problem.detail) from problem
    except BadArchive as problem:
        raise BadPacket(Fault.ARCHIVE_MALFORMED, str(problem)) from problem
    if not members or members[0] != (manifest.CORE_NAME, core):
        raise BadPacket(Fault.CORE_MISMATCH)
    parts = _parts(members[1:], outer.manifest)
    return Opened(outer, parts)


def _parts(members: Sequence[tuple[str, bytes]], described: Manifest) -> tuple[Part, ...]:
    if len(members) != len(described.contents):
        raise BadPacket(Fault.CONTENT_MISMATCH, "another number of parts")
    parts = tuple(
        Part(name, content.type, data)
        for (name, data), content in zip(members, described.contents, strict=True)
    )
    if contents_of(parts) != described.contents:
        raise BadPacket(Fault.CONTENT_MISMATCH, "a part is not the one described")
    return parts


def _check_stanzas(stanzas: Sequence[age.Stanza], core: bytes, recipients: int) -> None:
    """The age file carries this manifest's hash and is addressed to as many as the manifest names."""
    if [stanza for stanza in stanzas if stanza.kind == STANZA] != [_stanza(core)]:
        raise BadPacket(Fault.STANZA_MISMATCH)
    if [stanza.kind for stanza in stanzas if stanza.kind != STANZA] != [age.KIND] * recipients:
        raise BadPacket(Fault.RECIPIENTS_MISMATCH, "addressed to others than the manifest names")


def _stanza(core: bytes) -> age.Stanza:
    """Ties the age file to its manifest; the header's MAC covers it."""
    return age.Stanza(STANZA, (STANZA_VERSION,), hashlib.sha256(core).digest())


def _sign(kind: str, data: bytes, signer: Signer) -> str:
    key = signer.key
    return signed.sign_detached(kind, data, key, signed.key_id(key.public_key()), signer.chain)
