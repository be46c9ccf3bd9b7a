"""Sealing an application and opening it again (docs/protocol.md section 3), whole and in memory.

The order of opening is that of trust: container, manifest, signatures, payload digests, and only then keys.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import signed
from protocol.sealed import manifest
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
    write_payload,
)
from protocol.sealed.recipients import Recipient
from protocol.sealed.refusal import BadPacket, Fault
from protocol.sealed.suites import Key, Label, check_file, open_file, seal_file
from protocol.sealed.webauthn import Assertion

__all__ = [
    "Assertion",
    "BadPacket",
    "Core",
    "Fault",
    "Key",
    "Opened",
    "Outer",
    "Part",
    "Prepared",
    "Sealed",
    "Signer",
    "contents_of",
    "kids_of",
    "open_packet",
    "prepare",
    "read_outer",
    "seal",
    "without",
]


@dataclass(frozen=True)
class Part:
    """One file of the application."""

    name: str
    type: str
    data: bytes = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """In hex. Worked out once: who describes the parts and who seals them both ask."""
        return hashlib.sha256(self.data).hexdigest()


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
class Prepared:
    """A packet that only lacks its signatures. `challenge` is what an officer's security key answers."""

    manifest_bytes: bytes = field(repr=False)
    files: tuple[bytes, ...] = field(repr=False)

    @property
    def challenge(self) -> bytes:
        """SHA-256 of manifest.json."""
        return hashlib.sha256(self.manifest_bytes).digest()

    def finish(self, kit: Signer, officer: Signer | Assertion) -> Sealed:
        """The packet. BadPacket when the manifest breaks a rule, or names another kind of officer signature;
        the signatures themselves are the reader's to check."""
        by = Signatures(
            kit=_sign(KIT_KIND, self.manifest_bytes, kit),
            officer=officer
            if isinstance(officer, Assertion)
            else _sign(OFFICER_KIND, self.manifest_bytes, officer),
        )
        packet = b"".join([write_outer(self.manifest_bytes, by), *write_payload(self.files)])
        outer = read_outer(packet)
        return Sealed(packet, outer.manifest, outer.manifest_sha256)


@dataclass(frozen=True)
class Opened:
    """An application as the kit sealed it, every check passed. `shredded`: groups that are not there."""

    outer: Outer
    parts: tuple[Part, ...]
    shredded: tuple[str, ...] = ()


def contents_of(parts: Sequence[Part]) -> tuple[Content, ...]:
    """What the manifest says of the parts. ValueError for a part that belongs to no group."""
    return tuple(
        Content(
            group=manifest.group_of(part.name),
            name=part.name,
            type=part.type,
            size=len(part.data),
            sha256=part.sha256,
        )
        for part in parts
    )


def kids_of(recipients: Sequence[Recipient]) -> tuple[RecipientId, ...]:
    """How the manifest names the recipients."""
    return tuple(RecipientId(kid=recipient.kid) for recipient in recipients)


def prepare(parts: Sequence[Part], core: Core, recipients: Sequence[Recipient]) -> Prepared:
    """`parts` sealed to `recipients` group by group, each under keys of its own, and the manifest to sign.

    ValueError when `core` does not describe exactly these parts and recipients, in a suite their keys fit;
    BadPacket for an unknown suite."""
    if core.suite not in manifest.SUITES:
        raise BadPacket(Fault.UNKNOWN_SUITE)
    if core.contents != contents_of(parts) or core.recipients != kids_of(recipients):
        raise ValueError("the core describes other parts or recipients")
    core_bytes = manifest.encode(core)
    files, described = [], []
    for group in manifest.groups_of(core):
        members = [(part.name, part.data) for part in parts if manifest.group_of(part.name) == group]
        archive = write_archive([(manifest.CORE_NAME, core_bytes), *members])
        sealed = seal_file(archive, Label(core.suite, core_bytes, group, core.recipients), recipients)
        files.append(sealed)
        described.append(Payload(group, hashlib.sha512(sealed).hexdigest(), len(sealed)))
    whole = manifest.with_payload(core, described)
    return Prepared(manifest.encode(whole), tuple(files))


def seal(
    parts: Sequence[Part], core: Core, recipients: Sequence[Recipient], kit: Signer, officer: Signer
) -> Sealed:
    """The packet of `parts`, opened only by `recipients`, signed by kit and officer.

    ValueError as `prepare`; BadPacket when the manifest breaks a rule its reader checks, so that a kit cannot
    seal what its service would refuse."""
    return prepare(parts, core, recipients).finish(kit, officer)


def open_packet(
    data: bytes,
    keys: Sequence[Key],
    kit_roots: Iterable[x509.Certificate],
    officer_roots: Iterable[x509.Certificate],
    at: datetime,
    *,
    missing_ok: bool = False,
) -> Opened:
    """The application in `data`, opened with any of `keys`; `at` has a zone and is usually now.

    BadPacket with the reason for anything that is not exactly as a kit sealed it; with `missing_ok` groups
    may have been shredded since. agekeys.BadKey for an age identity that is none."""
    outer = read_outer(data)
    check_signatures(outer, kit_roots, officer_roots, at)
    described = outer.manifest
    core = manifest.core_of(described)
    files = read_payload(outer, data, missing_ok=missing_ok)
    labels = {group: Label(described.suite, core, group, described.recipients) for group in files}
    for group, file in files.items():
        check_file(file, labels[group])
    parts = tuple(
        part
        for group, file in files.items()
        for part in _parts(open_file(file, labels[group], keys), core, _contents(described, group))
    )
    return Opened(outer, parts, tuple(one.group for one in described.payload if one.group not in files))


def without(data: bytes, groups: Sequence[str]) -> bytes:
    """The packet with these groups shredded; all else, signatures included, still verifies. BadPacket.

    The key of a group is wrapped in its own file and nowhere else: without that file it is gone for all."""
    outer = read_outer(data)
    files: Mapping[str, bytes] = read_payload(outer, data, missing_ok=True)
    kept = [b"" if one.group in groups else files.get(one.group, b"") for one in outer.manifest.payload]
    return b"".join([data[: outer.payload_offset], *write_payload(kept)])


def _contents(described: Manifest, group: str) -> tuple[Content, ...]:
    return tuple(content for content in described.contents if content.group == group)


def _parts(archive: bytes, core: bytes, contents: tuple[Content, ...]) -> tuple[Part, ...]:
    """The parts of one group, when they are the ones described."""
    try:
        members = read_archive(archive)
    except BadArchive as problem:
        raise BadPacket(Fault.ARCHIVE_MALFORMED, str(problem)) from problem
    if not members or members[0] != (manifest.CORE_NAME, core):
        raise BadPacket(Fault.CORE_MISMATCH)
    if [name for name, _ in members[1:]] != [content.name for content in contents]:
        raise BadPacket(Fault.CONTENT_MISMATCH, "other parts")
    parts = tuple(
        Part(name, content.type, data) for (name, data), content in zip(members[1:], contents, strict=True)
    )
    if contents_of(parts) != contents:
        raise BadPacket(Fault.CONTENT_MISMATCH, "a part is not the one described")
    return parts


def _sign(kind: str, data: bytes, signer: Signer) -> str:
    key = signer.key
    return signed.sign_detached(kind, data, key, signed.key_id(key.public_key()), signer.chain)
