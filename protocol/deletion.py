"""The kit's signed word that something of a visit was destroyed: what, why and when, and nothing of whom."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, signed
from protocol.bad import Bad
from protocol.identity import KIT_ID, Role, role_of
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant

KIND = "deletion"
LONGEST = 1024  # bytes of payload
_ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"


class BadDeletion(Bad):
    """Not a certificate signed by the kit it names. code: deletion-untrusted, deletion-malformed."""


class Deletion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`captures` are readable with the kit's keys until then; a `packet` only by the service, always."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    kit_id: Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})\Z")]
    visit_id: Annotated[str, Meta(pattern=rf"^{_ULID}\Z")]
    packet_id: Annotated[str, Meta(pattern=rf"^({_ULID})?\Z")] = ""
    what: Literal["captures", "packet"]
    why: Literal["sealed", "abandoned", "answered", "draft-limit", "hard-limit"]
    at: Annotated[str, Meta(pattern=INSTANT)]


def sign_deletion(
    deletion: Deletion, key: ec.EllipticCurvePrivateKey, chain: Sequence[x509.Certificate]
) -> str:
    """Compact JWS with the kit's signing certificate and its issuer in it."""
    payload = canonical.dumps(msgspec.to_builtins(deletion))
    return signed.sign(KIND, payload, key, signed.key_id(key.public_key()), chain)


def verify_whenever(token: str, roots: Iterable[x509.Certificate]) -> tuple[Deletion, bool]:
    """As `verify_deletion` at the instant the kit itself says, and whether its certificate was valid then.

    A kit that lay in a drawer destroys what is due before it can renew its certificate, and its clock may be
    wrong: its own key still signs, so it is believed, and said."""
    try:
        leaf = signed.leaf_of(token, KIND)
    except signed.BadSignature as problem:
        raise BadDeletion("deletion-untrusted", str(problem)) from problem
    deletion = verify_deletion(token, roots, leaf.not_valid_after_utc)
    return deletion, leaf.not_valid_before_utc <= read_instant(deletion.at) <= leaf.not_valid_after_utc


def verify_deletion(token: str, roots: Iterable[x509.Certificate], at: datetime) -> Deletion:
    """What the kit certified; `at` is when the certificates must have been valid."""
    try:
        payload, leaf = signed.verify_chain(token, KIND, roots, Role.KIT_SIGN, at)
    except signed.BadSignature as problem:
        raise BadDeletion("deletion-untrusted", str(problem)) from problem
    try:
        if len(payload) > LONGEST:
            raise ValueError("too long")
        deletion = msgspec.convert(canonical.loads(payload), Deletion)
        read_instant(deletion.at)
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadDeletion("deletion-malformed", str(problem)) from problem
    if role_of(leaf) != (Role.KIT_SIGN, deletion.kit_id):
        raise BadDeletion("deletion-untrusted", "signed by another kit")
    return deletion
