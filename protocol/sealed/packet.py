"""Sealing an application and opening it again (docs/protocol.md section 3), whole and in memory.

The order of opening is that of trust: container, manifest, signatures, payload digests, and only then keys.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from protocol.sealed import manifest
from protocol.sealed.archive import BadArchive, archive_of, read_archive
from protocol.sealed.layout import Layout, hexdigest
from protocol.sealed.manifest import Content, Core, Hash, Manifest
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
from protocol.sealed.part import Part, Sealable, contents_of, kids_of
from protocol.sealed.recipients import Recipient
from protocol.sealed.refusal import BadPacket, Fault
from protocol.sealed.signer import Signer
from protocol.sealed.suites import AGE, Fill, Key, Keys, Label, check_file, open_file, seal_file
from protocol.sealed.webauthn import Assertion
from protocol.sealed.written import Sink, Written, begin, named

__all__ = [
    "Assertion",
    "BadPacket",
    "Core",
    "Fault",
    "Key",
    "Keys",
    "Layout",
    "Opened",
    "Outer",
    "Part",
    "Prepared",
    "Sealable",
    "Sealed",
    "Signer",
    "Sink",
    "Written",
    "contents_of",
    "kids_of",
    "open_packet",
    "prepare",
    "read_outer",
    "seal",
    "without",
    "write",
]


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
        front = _front(self.manifest_bytes, kit, officer)
        outer = read_outer(front)
        packet = b"".join([front, *write_payload(self.files)])
        return Sealed(packet, outer.manifest, outer.manifest_sha256)

    def write(self, sink: Sink, kit: Signer, officer: Signer | Assertion) -> Written:
        """As `finish`, into a sink."""
        front = _front(self.manifest_bytes, kit, officer)
        outer = read_outer(front)
        payload, offset = b"".join(write_payload(self.files)), len(front)
        sink.space(offset + len(payload))[offset:] = payload

        def check() -> None:
            if (outer.manifest_bytes, outer.payload_offset) != (self.manifest_bytes, offset):
                raise ValueError("the payload does not lie where it belongs")

        return begin(sink, front, named(outer.manifest), self.manifest_bytes, offset + len(payload), check)


@dataclass(frozen=True)
class Opened:
    """An application as the kit sealed it, every check passed. `shredded`: groups that are not there."""

    outer: Outer
    parts: tuple[Part, ...]
    shredded: tuple[str, ...] = ()


def prepare(
    parts: Sequence[Sealable],
    core: Core,
    recipients: Sequence[Recipient],
    keys: Keys | None = None,
    by: Hash = "sha256",
) -> Prepared:
    """`parts` sealed to `recipients` group by group, each under keys of its own, and the manifest to sign.
    `by`: the digest of the sealed files.

    ValueError when `core` does not describe exactly these parts and recipients, in a suite their keys fit, or
    `keys` are for others; BadPacket for an unknown suite."""
    core_bytes = manifest.encode(core)
    files, described = [], []
    for group, size, fill in _seal_groups(parts, core, core_bytes, recipients, keys):
        file = bytearray(size)
        fill(memoryview(file))
        described.append(manifest.describe(group, size, by, hexdigest(file, by)))
        files.append(bytes(file))
    return Prepared(manifest.encode(manifest.with_payload(core, described)), tuple(files))


def seal(
    parts: Sequence[Sealable], core: Core, recipients: Sequence[Recipient], kit: Signer, officer: Signer
) -> Sealed:
    """The packet of `parts`, opened only by `recipients`, signed by kit and officer.

    ValueError as `prepare`; BadPacket when the manifest breaks a rule its reader checks, so that a kit cannot
    seal what its service would refuse."""
    return prepare(parts, core, recipients).finish(kit, officer)


def write(
    sink: Sink,
    parts: Sequence[Sealable],
    core: Core,
    recipients: Sequence[Recipient],
    kit: Signer,
    officer: Signer,
    keys: Keys | None = None,
    by: Hash = "sha256",
) -> Written:
    """As `seal`, into a sink. It is signed, written and checked once what is returned is `complete`;
    BadPacket now or then."""
    if core.suite != AGE:
        return prepare(parts, core, recipients, keys, by).write(sink, kit, officer)
    laid = Layout(parts, core, recipients, kit, officer, keys, by)
    return laid.write(sink, core.created_utc, core.legal.retention_until)


def _seal_groups(
    parts: Sequence[Sealable],
    core: Core,
    core_bytes: bytes,
    recipients: Sequence[Recipient],
    keys: Keys | None,
) -> Iterator[tuple[manifest.Group, int, Fill]]:
    """Each group, the size of its sealed file, and what writes that."""
    if core.suite not in manifest.SUITES:
        raise BadPacket(Fault.UNKNOWN_SUITE)
    if core.contents != contents_of(parts) or core.recipients != kids_of(recipients):
        raise ValueError("the core describes other parts or recipients")
    for group in manifest.groups_of(core):
        members = [(part.name, part.data) for part in parts if manifest.group_of(part.name) == group]
        archive = archive_of([(manifest.CORE_NAME, core_bytes), *members])
        yield (
            group,
            *seal_file(archive, Label(core.suite, core_bytes, group, core.recipients), recipients, keys),
        )


def _front(manifest_bytes: bytes, kit: Signer, officer: Signer | Assertion) -> bytes:
    by = Signatures(
        kit=kit.sign(KIT_KIND, manifest_bytes),
        officer=officer if isinstance(officer, Assertion) else officer.sign(OFFICER_KIND, manifest_bytes),
    )
    return write_outer(manifest_bytes, by)


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
