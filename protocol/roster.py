"""Which officers may open a kit: named and signed by the fleet, beside each lease (protocol 13). Pure."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, signed
from protocol.bad import Bad
from protocol.identity import KIT_ID, OFFICER_ID
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant

KIND = "roster"
LONGEST = 44 * 1024  # bytes of the document
MOST_OFFICERS, MOST_ENROLMENTS, MOST_HOURS = 64, 6, 720
LONGEST_NAME = 100
LONGEST_SEALED = 6 * 1024  # characters of one enrolment

_Officer = Annotated[str, Meta(pattern=rf"^({OFFICER_ID.pattern})\Z")]


class BadRoster(Bad):
    """code: roster-malformed, roster-untrusted (not signed by whom it must be)."""


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`name`: as it stands on the kit's screen."""

    officer_id: _Officer
    name: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]


class Waiting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An officer on the list who may be let in with a code; `sealed`: `protocol.enrolment`, in base64url."""

    officer_id: _Officer
    sealed: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z", max_length=LONGEST_SEALED)]


class Roster(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`nonce`: of the request it answers; `hours`: how long it counts from then on."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    kit_id: Annotated[str, Meta(pattern=rf"^({KIT_ID.pattern})\Z")]
    nonce: Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
    version: Annotated[int, Meta(ge=1, le=2**31)]
    issued: Annotated[str, Meta(pattern=INSTANT)]
    hours: Annotated[int, Meta(ge=1, le=MOST_HOURS)]
    officers: Annotated[tuple[Listed, ...], Meta(min_length=1, max_length=MOST_OFFICERS)]
    enrolments: Annotated[tuple[Waiting, ...], Meta(max_length=MOST_ENROLMENTS)] = ()

    @property
    def names(self) -> dict[str, str]:
        """By officer id."""
        return {one.officer_id: one.name for one in self.officers}


def sign(roster: Roster, key: ec.EllipticCurvePrivateKey, kid: str) -> str:
    """Compact JWS by the fleet's command key. BadRoster for what a kit would refuse."""
    payload = canonical.dumps(msgspec.to_builtins(roster))
    _read(payload)  # a Struct's constructor checks nothing
    return signed.sign(KIND, payload, key, kid)


def verify(token: str, command_keys: Mapping[str, ec.EllipticCurvePublicKey]) -> Roster:
    """What the fleet signed. BadRoster."""
    try:
        return _read(signed.verify(token, KIND, command_keys))
    except signed.BadSignature as problem:
        raise BadRoster("roster-untrusted", problem.code) from problem


def _read(payload: bytes) -> Roster:
    try:
        roster = msgspec.convert(canonical.loads(payload, LONGEST), Roster)
        read_instant(roster.issued)
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadRoster("roster-malformed", str(problem)[:200]) from problem
    names = roster.names
    waiting = [one.officer_id for one in roster.enrolments]
    if len(names) != len(roster.officers) or not all(map(str.isprintable, names.values())):
        raise BadRoster("roster-malformed", "officers")
    whole = all(len(one.sealed) % 4 != 1 for one in roster.enrolments)
    if len(set(waiting)) != len(waiting) or not names.keys() >= set(waiting) or not whole:
        raise BadRoster("roster-malformed", "enrolments")
    return roster
