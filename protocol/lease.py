"""The lease of a kit's store (docs/protocol.md 12): asked for and granted, signed both ways, sealed back.

A share is worth nothing by itself: it opens a store only together with an officer's PIN and that kit's
device. It is sealed to the agent all the same, so that the process with the network never holds it.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, signed
from protocol.bad import Bad
from protocol.identity import KIT_ID, Role, role_of
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant
from protocol.sealed import age, agekeys

ASKED, GRANTED = "lease-request", "lease"
SHARE = 32  # bytes
LONGEST = 16 * 1024  # bytes of a request
LONGEST_ANSWER = 64 * 1024  # bytes, sealed, with a roster beside the lease
MOST_HOURS, MOST_VISITS = 168, 100

_Kit = Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})\Z")]
_Nonce = Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
_Epoch = Annotated[int, Meta(ge=0, le=2**31)]
_Share = Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{43})?\Z")]


_T = TypeVar("_T")


class BadLease(Bad):
    """code: lease-malformed, lease-untrusted (not signed by whom it must be), lease-unreadable."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    v: Annotated[int, Meta(ge=1, le=1)] = 1


class Asked(_Document, frozen=True, kw_only=True):
    """`epoch` is the one the store is in; `recipient` (age1pq1...) is the agent's."""

    kit_id: _Kit
    epoch: _Epoch
    nonce: _Nonce
    recipient: Annotated[str, Meta(max_length=2400)]


class _Wire(_Document, frozen=True, kw_only=True):
    kit_id: _Kit
    nonce: _Nonce
    epoch: _Epoch
    share: _Share
    following: _Share
    hours: Annotated[int, Meta(ge=1, le=MOST_HOURS)]
    visits: Annotated[int, Meta(ge=1, le=MOST_VISITS)]
    issued: Annotated[str, Meta(pattern=INSTANT)]


@dataclass(frozen=True)
class Granted:
    """`share` of `epoch` (empty in epoch 0, and where the fleet does not know it), `following` of the one
    after it (empty: not yet)."""

    kit_id: str
    nonce: str
    epoch: int
    share: bytes = field(repr=False)
    following: bytes = field(repr=False)
    hours: int
    visits: int
    issued: str
    roster: str = ""  # `protocol.roster`, where the fleet keeps one for this kit; not looked at here


def sign_asked(asked: Asked, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]) -> str:
    """Compact JWS by the kit's signing key, with its chain."""
    payload = canonical.dumps(msgspec.to_builtins(asked))
    return signed.sign(ASKED, payload, key, signed.key_id(key.public_key()), chain)


def verify_asked(token: str, roots: Iterable[x509.Certificate], at: datetime) -> Asked:
    """What a kit asked for. BadLease lease-untrusted, lease-malformed."""
    try:
        payload, leaf = signed.verify_chain(token, ASKED, roots, Role.KIT_SIGN, at)
    except signed.BadSignature as problem:
        raise BadLease("lease-untrusted", str(problem)) from problem
    asked = _read(payload, Asked)
    if role_of(leaf) != (Role.KIT_SIGN, asked.kit_id):
        raise BadLease("lease-untrusted", "signed by another kit")
    try:
        agekeys.read_recipient(asked.recipient)
    except agekeys.BadKey as problem:
        raise BadLease("lease-malformed", "recipient") from problem
    return asked


def seal_granted(granted: Granted, recipient: str, key: ec.EllipticCurvePrivateKey, kid: str) -> bytes:
    """Signed with the fleet's command key, sealed to the agent that asked."""
    members = {name: getattr(granted, name) for name in _Wire.__struct_fields__ if hasattr(granted, name)}
    wire = _Wire(**{**members, "share": _spell(granted.share), "following": _spell(granted.following)})
    payload = canonical.dumps(msgspec.to_builtins(wire))
    _read(payload, _Wire)  # a Struct's constructor checks nothing
    beside = [granted.roster] if granted.roster else []
    return age.encrypt("\n".join([signed.sign(GRANTED, payload, key, kid), *beside]).encode(), [recipient])


def open_granted(
    data: bytes, identity: str, command_keys: Mapping[str, ec.EllipticCurvePublicKey]
) -> Granted:
    """What the fleet granted. BadLease lease-unreadable, lease-untrusted, lease-malformed."""
    if len(data) > LONGEST_ANSWER:
        raise BadLease("lease-unreadable", "too long")
    try:
        token, _, roster = age.decrypt(data, [identity]).decode("ascii").partition("\n")
    except (age.BadAge, UnicodeDecodeError) as problem:
        raise BadLease("lease-unreadable", getattr(problem, "code", "not a token")) from problem
    try:
        wire = _read(signed.verify(token, GRANTED, command_keys), _Wire)
    except signed.BadSignature as problem:
        raise BadLease("lease-untrusted", problem.code) from problem
    share, following = _bytes(wire.share), _bytes(wire.following)
    if share and not wire.epoch:
        raise BadLease("lease-malformed", "share")
    of = (wire.kit_id, wire.nonce, wire.epoch)
    return Granted(*of, share, following, wire.hours, wire.visits, wire.issued, roster)


def _read(payload: bytes, shape: type[_T]) -> _T:
    try:
        document = msgspec.convert(canonical.loads(payload, LONGEST), shape)
        if isinstance(document, _Wire):
            read_instant(document.issued)
        return document
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadLease("lease-malformed", str(problem)[:200]) from problem


def _spell(share: bytes) -> str:
    return base64.urlsafe_b64encode(share).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        share = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as problem:
        raise BadLease("lease-malformed", "share") from problem
    if _spell(share) != text:
        raise BadLease("lease-malformed", "share")
    return share
