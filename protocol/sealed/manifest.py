"""The manifest: what may be known of a sealed application without opening it (docs/protocol.md section 3)."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from protocol import canonical, identity, recapture
from protocol.ids import is_ulid
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant
from protocol.sealed.refusal import BadPacket, Fault

LONGEST = 65_536  # bytes
LARGEST_PART = 16 * 1024 * 1024  # bytes
SUITES = ("age1pq", "cms-p256-gcm")  # an allow-list: anything else is refused, never negotiated
Group = Literal["identity", "biometric", "evidence", "operations"]
GROUPS: tuple[Group, ...] = get_args(Group)  # in the order in which they lie in a packet
FIRST_PREV = "0" * 64
CORE_NAME = "manifest-core.json"  # the archive's first member; no part may have its name

# Meta searches: `$` would let a line feed through at the end, `\Z` does not.
DIGESTS = {"sha256": r"^[0-9a-f]{64}\Z", "sha512": r"^[0-9a-f]{128}\Z"}
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"
_Digest = Annotated[str, Meta(pattern=DIGESTS["sha256"])]
_KeyId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
_Word = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,40}\Z")]
_GROUP_OF: dict[str, Group] = {  # by the first word of a part's name
    "identity": "identity",
    "card": "identity",
    "photo": "biometric",
    "finger": "biometric",
    "signature": "biometric",
    "evidence": "evidence",
    "application": "operations",
}
_PART_NAME = re.compile(r"[a-z0-9]{1,20}(?:-[a-z0-9]{1,20}){0,4}\.(?:json|jpg|png|svg)")


class _Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class RecipientId(_Member, frozen=True):
    """A recipient by the key id of the service's recipient list."""

    kid: _KeyId


class Content(_Member, frozen=True):
    """One part of the application: its group, file name, media type, size in bytes and SHA-256."""

    group: Group
    name: str
    type: Annotated[str, Meta(pattern=r"^[a-z]{1,20}/[a-z0-9.+-]{1,40}\Z")]
    size: Annotated[int, Meta(ge=0, le=LARGEST_PART)]
    sha256: _Digest


class Legal(_Member, frozen=True):
    """Why the data is held (a code) and until which day (ISO date) at most."""

    reason: Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:/-]{1,80}\Z")]
    retention_until: Annotated[str, Meta(pattern=DAY)]


Hash = Literal["sha256", "sha512"]


class Payload(_Member, frozen=True):
    """The sealed file of one group as it lies in the packet: size in bytes, and one of the digests in hex."""

    group: Group
    size: Annotated[int, Meta(ge=1, le=canonical.BIGGEST)]
    sha256: _Digest | msgspec.UnsetType = msgspec.UNSET
    sha512: Annotated[str, Meta(pattern=DIGESTS["sha512"])] | msgspec.UnsetType = msgspec.UNSET

    def hashed(self) -> "hashlib._Hash":
        """What its bytes go through, to be asked `is_of` then."""
        return hashlib.sha256() if self.sha512 is msgspec.UNSET else hashlib.sha512()

    def is_of(self, hashed: "hashlib._Hash") -> bool:
        return hashed.hexdigest() in (self.sha256, self.sha512)


def describe(group: Group, size: int, by: Hash, digest: str) -> Payload:
    """A sealed file with this digest."""
    return Payload(group, size, sha256=digest) if by == "sha256" else Payload(group, size, sha512=digest)


class Core(_Member, frozen=True, kw_only=True):
    """The manifest without `payload`: what the sealed part repeats inside, so that no other label fits.

    `supplements` is there in a packet that brings parts of an earlier one anew, and only there."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    suite: str = SUITES[0]
    packet_id: str
    visit_id: str
    tenant: str
    service_id: str
    catalogue: _Digest
    kit_id: str
    kit_cert_serial: Annotated[str, Meta(pattern=r"^[1-9a-f][0-9a-f]{0,39}\Z")]
    officer_id: str
    officer_signature: Literal["pin-key", "webauthn"] = "pin-key"
    created_utc: Annotated[str, Meta(pattern=INSTANT)]
    seq: Annotated[int, Meta(ge=1, le=canonical.BIGGEST)]
    prev: _Digest
    recipients: Annotated[tuple[RecipientId, ...], Meta(min_length=1, max_length=8)]
    contents: Annotated[tuple[Content, ...], Meta(min_length=1, max_length=64)]
    legal: Legal
    flags: Annotated[tuple[_Word, ...], Meta(max_length=16)] = ()
    supplements: recapture.Supplements | msgspec.UnsetType = msgspec.UNSET


class Manifest(Core, frozen=True, kw_only=True):
    """The core and what lies sealed beside it, one file for each group that has contents."""

    payload: Annotated[tuple[Payload, ...], Meta(min_length=1, max_length=len(GROUPS))]


_decoder = msgspec.json.Decoder(Manifest)
_encoder = msgspec.json.Encoder(order="sorted")


@lru_cache(maxsize=64)  # every application has the same few
def group_of(name: str) -> Group:
    """The group a part of this name lies in. ValueError for a name no application has."""
    if _PART_NAME.fullmatch(name) is None or name == CORE_NAME:
        raise ValueError("not the name of a part")
    group = _GROUP_OF.get(re.split("[-.]", name, maxsplit=1)[0])
    if group is None:
        raise ValueError("a part of no group")
    return group


def groups_of(core: Core) -> tuple[Group, ...]:
    """The groups that have contents, in the order of the packet."""
    return tuple(dict.fromkeys([content.group for content in core.contents]))


def with_payload(core: Core, payload: Sequence[Payload]) -> Manifest:
    """The manifest of a core whose groups have been sealed."""
    return Manifest(**msgspec.structs.asdict(core), payload=tuple(payload))


def encode(manifest: Core) -> bytes:
    """Canonical JSON of a manifest, or of a core: of what their types allow msgspec has the same spelling."""
    return _encoder.encode(manifest)


def decode(data: bytes) -> Manifest:
    """A manifest whose every member has been checked. BadPacket manifest-*, unknown-suite, too-large."""
    if len(data) > LONGEST:
        raise BadPacket(Fault.TOO_LARGE, "manifest")
    manifest = _read(data)
    if manifest is None:
        raise _refusal(data)
    wrong = next((name for name, right in _rules(manifest) if not right), None)
    if wrong is not None:
        raise BadPacket(Fault.MANIFEST_MALFORMED, wrong)
    return manifest


def _read(data: bytes) -> Manifest | None:
    """What is spelled so, and no other way, by the types above. None: something is wrong with it."""
    try:
        manifest = _decoder.decode(data)
        return manifest if manifest.suite in SUITES and encode(manifest) == data else None
    except (msgspec.DecodeError, ValueError):  # not UTF-8, or not canonical
        return None


def _refusal(data: bytes) -> BadPacket:
    """What is wrong with a manifest that could not be read."""
    try:
        value = canonical.loads(data, LONGEST)
    except canonical.NotCanonical as problem:
        return BadPacket(Fault.MANIFEST_NOT_CANONICAL, str(problem))
    # first of all: a manifest of a suite to come may have members we do not know
    if isinstance(value, dict) and value.get("suite", SUITES[0]) not in SUITES:
        return BadPacket(Fault.UNKNOWN_SUITE)
    try:
        msgspec.convert(value, Manifest)
    except msgspec.ValidationError as problem:
        # msgspec quotes member names and patterns only, never the value refused
        return BadPacket(Fault.MANIFEST_MALFORMED, str(problem)[:200])
    return BadPacket(Fault.MANIFEST_MALFORMED, "a member is missing")


def core_of(manifest: Manifest) -> bytes:
    """The canonical bytes of the manifest without its payload member."""
    members = msgspec.to_builtins(manifest)
    del members["payload"]
    return canonical.dumps(members)


def digest(data: bytes) -> str:
    """SHA-256 in hex: of manifest bytes, what receipts and `prev` name."""
    return hashlib.sha256(data).hexdigest()


def _rules(manifest: Manifest) -> list[tuple[str, bool]]:
    """What the types above do not say, by the member it is about."""
    names = [content.name for content in manifest.contents]
    places = [GROUPS.index(content.group) for content in manifest.contents]
    kids = [recipient.kid for recipient in manifest.recipients]
    return [
        ("packet_id", is_ulid(manifest.packet_id)),
        ("visit_id", is_ulid(manifest.visit_id)),
        ("tenant", identity.TENANT.fullmatch(manifest.tenant) is not None),
        ("service_id", identity.SERVICE_ID.fullmatch(manifest.service_id) is not None),
        ("kit_id", identity.KIT_ID.fullmatch(manifest.kit_id) is not None),
        ("officer_id", identity.OFFICER_ID.fullmatch(manifest.officer_id) is not None),
        ("created_utc", is_instant(manifest.created_utc)),
        ("prev", (manifest.prev == FIRST_PREV) == (manifest.seq == 1)),
        ("recipients", len(set(kids)) == len(kids)),
        ("contents", len(set(names)) == len(names) and all(map(_is_in_its_group, manifest.contents))),
        ("contents", places == sorted(places)),
        ("payload", tuple([one.group for one in manifest.payload]) == groups_of(manifest)),
        (
            "payload",
            all((one.sha256 is msgspec.UNSET) != (one.sha512 is msgspec.UNSET) for one in manifest.payload),
        ),
        ("flags", list(manifest.flags) == sorted(set(manifest.flags))),
        ("supplements", _is_lawful_supplement(manifest, names)),
    ]


def _is_lawful_supplement(manifest: Manifest, names: Sequence[str]) -> bool:
    about = manifest.supplements
    if about is msgspec.UNSET:
        return True
    return (
        recapture.is_lawful(about)
        and about.packet_id != manifest.packet_id
        and recapture.fits(names, about.parts)
    )


def _is_in_its_group(content: Content) -> bool:
    try:
        return group_of(content.name) == content.group
    except ValueError:
        return False


def is_instant(text: str) -> bool:
    """One that there is."""
    try:
        read_instant(text)
    except ValueError:
        return False
    return True
