"""New certificates for kits: asked for, answered by the authority, taken into use (docs/protocol.md 14).

The fleet cannot make one. It keeps requests from kits that are not lost, hands them to the authority, and
gives the answer to the kit that asked. A kit's old certificate stays good until its end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from protocol import renewal, roots
from protocol.chain import BadChain, check_chain
from protocol.identity import role_of, serial_of
from protocol.renewal import Asked, BadRenewal
from server.db.tables import Kit, KitCertificate
from server.db.turns import take_turn
from server.fleet import incidents, outbox
from server.fleet.refused import Refused

MOST_TRIES = 12  # new keys that a kit may ask for in a day, for each of its two
A_DAY = timedelta(days=1)
REFUSED_FOR = timedelta(hours=1)  # the same key is put to the authority again after so long
LATE = timedelta(days=7)


State = Literal["well", "renewing", "refused", "late", "ended"]


@dataclass(frozen=True)
class Line:
    """One certificate of a kit as a page tells it. `days` it has left; `renewed`: when it was taken into use,
    None for the first. `code`: why it is not renewed."""

    role: str
    until: datetime
    days: int
    state: State
    renewed: datetime | None
    code: str


@dataclass(frozen=True)
class Issued:
    """PEM: the chain, leaf first; the roots to trust, and what vouches for them."""

    chain: str
    authorities: str


def ask(
    db: Session, trusted: Sequence[x509.Certificate], kit: Kit, token: str, now: datetime
) -> Issued | None:
    """The answer to a request, None while there is none. Asked again for the same key it is the same request.

    Refused: codes of BadRenewal, wrong-kit, kit-lost, renewal-superseded, renewal-limit, and what the
    authority says."""
    try:
        asked = renewal.verify_asked(token, trusted, now)
    except BadRenewal as problem:
        raise Refused(problem.code) from problem
    if asked.kit_id != kit.kit_id:
        raise Refused("wrong-kit")
    if kit.lost is not None:
        raise Refused("kit-lost")
    row = _row(db, kit.kit_id, asked.role)
    if is_superseded(row, asked):
        raise Refused("renewal-superseded")
    if row.key_id == asked.kid and row.state == "issued":
        return Issued(row.chain, row.authorities)
    if row.key_id == asked.kid and row.state == "asked":
        return None
    if row.key_id == asked.kid and row.state == "refused" and now < (row.asked or now) + REFUSED_FOR:
        raise Refused(row.code)
    _count(row, now)
    row.state, row.code, row.key_id, row.request = "asked", "", asked.kid, token
    row.chain, row.authorities, row.asked = "", "", now
    outbox.put_once(db, "renew", kit.kit_id, now)
    return None


def is_superseded(row: KitCertificate, asked: Asked) -> bool:
    """Whether the kit has told of a newer certificate than the one that asks: then a copy asks."""
    since = row.since
    return since is not None and row.serial != serial_of(asked.old) and asked.old.not_valid_before_utc < since


def waiting(db: Session, kit_ids: Sequence[str] | None = None) -> list[KitCertificate]:
    """The requests that wait for the authority, oldest first; of these kits, or of all."""
    query = select(KitCertificate).where(KitCertificate.state == "asked").order_by(KitCertificate.asked)
    if kit_ids is not None:
        query = query.where(KitCertificate.kit_id.in_(kit_ids))
    return list(db.scalars(query))


def known(db: Session, kit_id: str | None = None) -> list[KitCertificate]:
    """What is known of the certificates of all kits that are not retired, or of one."""
    query = select(KitCertificate).join(Kit, Kit.kit_id == KitCertificate.kit_id)
    query = query.where(Kit.retired.is_(None) if kit_id is None else Kit.kit_id == kit_id)
    return list(db.scalars(query.order_by(KitCertificate.kit_id, KitCertificate.role.desc())))


def lines(db: Session, kit_id: str, now: datetime) -> list[Line]:
    """Of the certificates of a kit that it has shown."""
    return [
        Line(row.role, row.until, max(0, (row.until - now).days), _state(row, now), row.renewed, row.code)
        for row in known(db, kit_id)
        if row.until is not None
    ]


def settle(
    db: Session,
    trusted: Sequence[x509.Certificate],
    key_id: str,
    answer: Issued | str,
    now: datetime,
) -> str:
    """What the authority says to the request for that key: a chain, or a code. The outcome, for a log.

    Refused unknown-request; renewal-untrusted for an answer that is not for this kit, role and key, or of
    roots that nobody vouches for."""
    row = db.scalar(
        select(KitCertificate)
        .where(KitCertificate.key_id == key_id, KitCertificate.state == "asked")
        .limit(1)
    )
    if row is None:
        raise Refused("unknown-request")
    if isinstance(answer, str):
        row.state, row.code = "refused", answer[:40]
        return answer
    try:
        asked = renewal.verify_asked(row.request, trusted, row.asked or now)
        chain = x509.load_pem_x509_certificates(answer.chain.encode())
        renewal.check_granted(chain, asked.role, row.kit_id, asked.key)
        check_chain(chain, trusted, now)
        roots.accept(trusted, roots.read(answer.authorities.encode()))
    except (BadRenewal, BadChain, ValueError) as problem:
        raise Refused("renewal-untrusted") from problem
    row.state, row.chain, row.authorities = "issued", answer.chain, answer.authorities
    outbox.put_once(db, "doorbell", row.kit_id, now)
    return "issued"


def done(db: Session, trusted: Sequence[x509.Certificate], kit: Kit, token: str, now: datetime) -> None:
    """The kit has taken its new certificate into use. Twice is as once. Refused: codes of BadRenewal,
    wrong-kit."""
    try:
        leaf = renewal.verify_done(token, trusted, now)
    except BadRenewal as problem:
        raise Refused(problem.code) from problem
    role, kit_id = role_of(leaf)
    if kit_id != kit.kit_id:
        raise Refused("wrong-kit")
    row = _row(db, kit_id, role)
    if row.since is not None and leaf.not_valid_before_utc < row.since:
        return  # an old word, late
    if row.serial != serial_of(leaf):
        row.renewed = now
    _use(row, leaf)
    if row.state == "issued":
        row.state, row.request, row.chain, row.authorities, row.key_id = "", "", "", "", ""


def seen(db: Session, leaf: x509.Certificate) -> bool:
    """A kit shows this certificate: keep its end, unless a newer one is known. Whether that was news."""
    role, kit_id = role_of(leaf)
    row = db.get(KitCertificate, (kit_id, role))
    if row is not None and row.since is not None and leaf.not_valid_before_utc <= row.since:
        return False
    _use(row or _row(db, kit_id, role), leaf)
    return True


def is_news(db: Session, leaf: x509.Certificate) -> bool:
    """Whether `seen` would write anything: a read."""
    role, kit_id = role_of(leaf)
    row = db.get(KitCertificate, (kit_id, role))
    return row is None or row.since is None or leaf.not_valid_before_utc > row.since


def watch(db: Session, now: datetime) -> None:
    """An incident for each certificate that ends within a week, of a kit that is neither retired nor lost."""
    query = (
        select(KitCertificate)
        .join(Kit, Kit.kit_id == KitCertificate.kit_id)
        .where(KitCertificate.until < now + LATE, Kit.retired.is_(None), Kit.lost.is_(None))
    )
    for row in db.scalars(query):
        assert row.until is not None
        subject = f"{row.role} {row.serial}"[:80]
        incidents.report(db, row.kit_id, "certificate-ending", subject, f"{row.until:%Y-%m-%d}", now)


def suspect(db: Session, kit_id: str, now: datetime) -> None:
    """Somebody asked with a certificate that its kit has replaced."""
    incidents.report(db, kit_id, "certificate-superseded", f"{now:%Y-%m-%d}", "", now)


def _state(row: KitCertificate, now: datetime) -> State:
    assert row.until is not None
    if now >= row.until:
        return "ended"
    if row.state == "refused":
        return "refused"
    if row.state:
        return "renewing"
    return "late" if now > row.until - LATE else "well"


def _row(db: Session, kit_id: str, role: str) -> KitCertificate:
    """Locked for the transaction; made when there is none."""
    take_turn(db, f"certificate {kit_id}")
    row = db.get(KitCertificate, (kit_id, role), with_for_update=True)
    if row is None:
        row = KitCertificate(
            kit_id=kit_id, role=role, serial="", state="", code="", key_id="", request="", chain="",
            authorities="", tries=0,
        )  # fmt: skip
        db.add(row)
        db.flush()
    return row


def _use(row: KitCertificate, leaf: x509.Certificate) -> None:
    row.serial, row.since, row.until = serial_of(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc


def _count(row: KitCertificate, now: datetime) -> None:
    if row.window is None or now > row.window + A_DAY:
        row.window, row.tries = now, 0
    if row.tries >= MOST_TRIES:
        raise Refused("renewal-limit")
    row.tries += 1
