"""The day bag: what an officer needs for today, signed by the fleet's command key and sealed to one kit.

It holds names and addresses, so nothing in here prints them: `repr` of a citizen or a place is empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

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

READS = 2
"""What this version reads of a visit, as a kit says it at its birth: 1 is a visit as it was at first, 2 also
one that takes parts anew. A fleet MUST NOT send a kit what is above its level."""
SUPPLEMENTS = 2
"""The level of a visit with `supplements`."""

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


class _Outside(_Member, frozen=True, kw_only=True):
    """A day bag whose visits are not looked at yet."""

    v: Annotated[int, Meta(ge=1, le=1)]
    kit_id: str
    version: Annotated[int, Meta(ge=1, le=canonical.BIGGEST)]
    issued: _Instant
    date: _Day
    visits: Annotated[tuple[Any, ...], Meta(max_length=MOST_VISITS)]


@dataclass(frozen=True)
class OpenedBag:
    """`aside`: the visits that this version cannot read, by id (empty where not even that can be read); they
    are not among those of `bag`. A kit that is older than its fleet keeps all others."""

    bag: DayBag
    aside: tuple[str, ...]


def seal_bag(bag: DayBag, recipient: str, command_key: ec.EllipticCurvePrivateKey, kid: str) -> bytes:
    """The bag signed with the fleet's command key and sealed to the kit's `age1pq1...` bag key.

    BadBag bag-malformed when the kit would refuse what is in it; agekeys.BadKey for another recipient."""
    payload = canonical.dumps(msgspec.to_builtins(bag))
    if _read(payload).aside:
        raise BadBag("bag-malformed", "visits")
    return age.encrypt(signed.sign(KIND, payload, command_key, kid).encode(), [recipient])


def open_bag(data: bytes, identity_: str, command_keys: Mapping[str, ec.EllipticCurvePublicKey]) -> OpenedBag:
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


def _read(payload: bytes) -> OpenedBag:
    try:
        outside = msgspec.convert(canonical.loads(payload, LONGEST), _Outside)
        read_instant(outside.issued)
    except (canonical.NotCanonical, ValueError, msgspec.ValidationError) as problem:
        # the message of msgspec names the member, never what stood in it
        raise BadBag("bag-malformed", str(problem)[:200]) from problem
    if identity.KIT_ID.fullmatch(outside.kit_id) is None:
        raise BadBag("bag-malformed", "kit_id")
    read = [(_id_of(each), _visit(each)) for each in outside.visits]
    named = [visit_id for visit_id, _ in read if visit_id]
    if len(set(named)) != len(named):
        raise BadBag("bag-malformed", "visit_id")
    bag = DayBag(
        kit_id=outside.kit_id,
        version=outside.version,
        issued=outside.issued,
        date=outside.date,
        visits=tuple(visit for _, visit in read if visit is not None),
    )
    return OpenedBag(bag, tuple(visit_id for visit_id, visit in read if visit is None))


def _id_of(given: Any) -> str:
    """The id of a visit that may be none; empty when there is none to be had."""
    found = given.get("visit_id") if isinstance(given, dict) else None
    return found if isinstance(found, str) and is_ulid(found) else ""


def _visit(given: Any) -> BagVisit | None:
    """None for what this version cannot read."""
    try:
        visit = msgspec.convert(given, BagVisit)
        in_order = read_instant(visit.starts) < read_instant(visit.ends)
    except (ValueError, msgspec.ValidationError):
        return None
    names = (
        is_ulid(visit.visit_id),
        identity.TENANT.fullmatch(visit.tenant),
        identity.SERVICE_ID.fullmatch(visit.service_id),
        identity.OFFICER_ID.fullmatch(visit.officer_id),
    )
    return visit if in_order and all(names) and _is_lawful(visit) else None


def _is_lawful(visit: BagVisit) -> bool:
    asked = visit.supplements
    if asked is msgspec.UNSET:
        return True
    try:
        read_instant(asked.until)
    except ValueError:
        return False
    return recapture.is_lawful(asked)
