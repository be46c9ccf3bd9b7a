"""The day bag: what an officer needs for today, signed by the fleet's command key and sealed to one kit.

It holds names and addresses, so nothing in here prints them: `repr` of a citizen or a place is empty.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from protocol import canonical, identity, recapture, signed
from protocol.bad import Bad
from protocol.ids import is_ulid
from protocol.instant import PATTERN as INSTANT
from protocol.instant import read_instant
from protocol.sealed import age

KIND = "bag"
LONGEST = 512 * 1024  # bytes sealed; the largest day has some 40 visits of 1 KB
MOST_VISITS = 200

_Text = Annotated[str, Meta(max_length=200)]
_Word = Annotated[str, Meta(max_length=40)]
_Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
_Instant = Annotated[str, Meta(pattern=INSTANT)]


class BadBag(Bad):
    """code: bag-unreadable (not sealed to this kit, or damaged), bag-untrusted, bag-malformed."""


class _Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Citizen(_Member, frozen=True, kw_only=True):
    """As in the request. Absent facts are empty strings."""

    name: _Text
    birth_date: Annotated[str, Meta(pattern=r"^([0-9]{4}(-[0-9]{2}-[0-9]{2})?)?\Z")] = ""
    national_number: Annotated[str, Meta(pattern=r"^([0-9]{11})?\Z")] = ""
    phone: _Word = ""

    def __repr__(self) -> str:
        return "Citizen(...)"


class Place(_Member, frozen=True, kw_only=True):
    """Where the visit is. `note` is what the officer must know to get in."""

    street: _Text
    postcode: _Word
    municipality: _Text
    note: Annotated[str, Meta(max_length=1000)] = ""

    def __repr__(self) -> str:
        return "Place(...)"


class BagVisit(_Member, frozen=True, kw_only=True):
    """One visit. `starts` and `ends` are instants; `municipality` is the tenant's name as shown.

    `epoch` grows when the visit is given to another kit or taken back; the kit says it in its events.
    `supplements`: the visit takes only these parts anew, of an application that was made before."""

    visit_id: str
    service_id: str
    tenant: str
    municipality: _Text
    starts: _Instant
    ends: _Instant
    officer_id: str
    language: Annotated[str, Meta(pattern=r"^(nl|fr|de|en)\Z")]
    citizen: Citizen
    place: Place
    evidence: Annotated[str, Meta(max_length=1000)] = ""
    epoch: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    supplements: recapture.Asked | msgspec.UnsetType = msgspec.UNSET


class DayBag(_Member, frozen=True, kw_only=True):
    """The whole day of one kit. `version` grows by one with every change for that kit."""

    v: Annotated[int, Meta(ge=1, le=1)] = 1
    kit_id: str
    version: Annotated[int, Meta(ge=1, le=canonical.BIGGEST)]
    issued: _Instant
    date: _Day
    visits: Annotated[tuple[BagVisit, ...], Meta(max_length=MOST_VISITS)]


def seal_bag(bag: DayBag, recipient: str, command_key: ec.EllipticCurvePrivateKey, kid: str) -> bytes:
    """The bag signed with the fleet's command key and sealed to the kit's `age1pq1...` bag key.

    BadBag bag-malformed when the kit would refuse what is in it; agekeys.BadKey for another recipient."""
    payload = canonical.dumps(msgspec.to_builtins(bag))
    _read(payload)
    return age.encrypt(signed.sign(KIND, payload, command_key, kid).encode(), [recipient])


def open_bag(data: bytes, identity_: str, command_keys: Mapping[str, ec.EllipticCurvePublicKey]) -> DayBag:
    """The bag in `data`, opened with the kit's age identity and signed by one of `command_keys`. BadBag."""
    if len(data) > LONGEST:
        raise BadBag("bag-unreadable", f"longer than {LONGEST} bytes")
    try:
        token = age.decrypt(data, [identity_]).decode("ascii")
    except (age.BadAge, UnicodeDecodeError) as problem:
        raise BadBag("bag-unreadable", getattr(problem, "code", "not a token")) from problem
    try:
        payload = signed.verify(token, KIND, command_keys)
    except signed.BadSignature as problem:
        raise BadBag("bag-untrusted", problem.code) from problem
    return _read(payload)


def _read(payload: bytes) -> DayBag:
    try:
        bag = msgspec.convert(canonical.loads(payload, LONGEST), DayBag)
        in_order = all(read_instant(visit.starts) < read_instant(visit.ends) for visit in bag.visits)
        read_instant(bag.issued)
    except (canonical.NotCanonical, ValueError, msgspec.ValidationError) as problem:
        # the message of msgspec names the member, never what stood in it
        raise BadBag("bag-malformed", str(problem)[:200]) from problem
    ids = [visit.visit_id for visit in bag.visits]
    rules = {
        "kit_id": identity.KIT_ID.fullmatch(bag.kit_id) is not None,
        "visit_id": len(set(ids)) == len(ids) and all(map(is_ulid, ids)),
        "ends": in_order,
        "tenant": all(identity.TENANT.fullmatch(visit.tenant) for visit in bag.visits),
        "service_id": all(identity.SERVICE_ID.fullmatch(visit.service_id) for visit in bag.visits),
        "officer_id": all(identity.OFFICER_ID.fullmatch(visit.officer_id) for visit in bag.visits),
        "supplements": all(map(_is_lawful, bag.visits)),
    }
    wrong = [name for name, right in rules.items() if not right]
    if wrong:
        raise BadBag("bag-malformed", wrong[0])
    return bag


def _is_lawful(visit: BagVisit) -> bool:
    asked = visit.supplements
    if asked is msgspec.UNSET:
        return True
    try:
        read_instant(asked.until)
    except ValueError:
        return False
    return recapture.is_lawful(asked)
