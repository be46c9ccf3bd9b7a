"""The uplink's certificate, renewed while it works: asked for, tried out, taken into use, told (protocol 14).

The kit's own clock has no say in it: it is time by what the fleet says the time is, or when the fleet asks.
"""

import time
from datetime import datetime, timedelta
from threading import Event, Lock
from typing import Annotated, Literal

import msgspec
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Meta

from device.spool.credentials import Credentials, Papers
from device.spool.hatch import Hatch
from device.spool.renewal_hatch import RenewalHatch
from device.uplink.backoff import Backoff
from device.uplink.door import Door
from device.uplink.problems import LinkDown
from device.uplink.proving import prove
from device.uplink.settings import UplinkSettings
from protocol import renewal, roots
from protocol.chain import BadChain, check_chain
from protocol.renewal import BadRenewal

log = structlog.get_logger()

ROLE: Literal["kit-tls"] = "kit-tls"
TRIES = 5  # proofs that may fail while the old certificate does, before what was granted is given up
OF_THE_LINK = frozenset({"server-down", "timed-out", "no-network", "portal"})  # say nothing of a certificate
PENDING_MOST_S = 300.0
REFUSED_S = 3600.0
_ANSWER_BYTES = 96 * 1024


class Granted(msgspec.Struct, frozen=True):
    """What the fleet answers; `chain` and `authorities` are PEM."""

    state: Literal["pending", "issued"]
    chain: Annotated[str, Meta(max_length=16_384)] = ""
    authorities: Annotated[str, Meta(max_length=65_536)] = ""


class _Refusal(msgspec.Struct, frozen=True):
    error: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]


class NotRenewed(Exception):
    """The fleet will not renew now; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Renewal:
    """A thread with a connection of its own. `told`, `look` and `wake` may be called from any thread."""

    def __init__(self, settings: UplinkSettings, hatch: Hatch, held: Credentials, door: Door) -> None:
        self._settings, self._hatch, self._held, self._door = settings, hatch, held, door
        self._fleet_time: tuple[datetime, float] | None = None
        self._lock = Lock()  # of the next two
        self._order: int | None = None  # the fleet's newest command that was taken up
        self._wanted = False
        self._failed = 0
        self._rests_until = 0.0
        self._work = Event()
        self._agents = RenewalHatch(settings.spool)

    def told(self, now: datetime) -> None:
        """The fleet says that it is `now`."""
        self._fleet_time = now, time.monotonic()
        if self._has_work():
            self._work.set()

    def wake(self) -> None:
        self._work.set()

    def run(self, stop: Event) -> None:
        patience = Backoff(self._settings.retry_first_s, self._settings.retry_most_s)
        pending = Backoff(2 * self._settings.retry_first_s, PENDING_MOST_S)
        self.look()
        while not stop.is_set():
            self._work.clear()
            pause = self._settings.inbox_every_s
            try:
                if self._has_work():
                    if self._step():
                        pending.reset()
                        pause = 0.0
                    else:
                        pause = self._settings.retry_first_s + pending.next()
                patience.reset()
            except LinkDown as problem:
                pause = patience.next()
                if not stop.is_set():
                    log.warning("renewal-interrupted", code=problem.code, detail=problem.detail)
            except NotRenewed as problem:
                self._rests_until = time.monotonic() + REFUSED_S
                log.error("renewal-refused", code=problem.code)
            self._door.close()
            if not stop.is_set():
                self._work.wait(pause)

    def look(self) -> None:
        """The agent rang: the fleet may have commanded a renewal, which stands on disk until it is done, and
        there may be something of the agent's own certificate to be carried."""
        order = self._hatch.renewal_ordered()
        with self._lock:
            if order is not None and order != self._order:
                self._order, self._wanted, self._rests_until = order, True, 0.0
                self._work.set()
        if self._agents.has_any():
            self._work.set()

    def _has_work(self) -> bool:
        return (
            self._agents.has_any()
            or not self._held.is_told()
            or self._held.on_trial() is not None
            or self._is_due()
        )

    def _is_due(self) -> bool:
        if time.monotonic() < self._rests_until:
            return False
        now = self._now()
        return self._wanted or (now is not None and now >= renewal.due(self._held.present().chain()[0]))

    def _now(self) -> datetime | None:
        """By the fleet; None as long as it has not told."""
        if self._fleet_time is None:
            return None
        at, heard = self._fleet_time
        return at + timedelta(seconds=time.monotonic() - heard)

    def _step(self) -> bool:
        """The next thing there is to do; False when all there is to do is to wait."""
        if not self._held.is_told():
            self._tell()
            return True
        if self._agents.has_any() and self._carry():
            return True
        if self._held.on_trial() is None and not self._is_due():
            return False
        papers = self._held.on_trial()
        if papers is None:
            return self._ask()
        now = self._now()
        if now is not None and now >= papers.chain()[0].not_valid_after_utc:
            self._held.drop_trial()  # it was granted long ago, and the kit lay in a drawer
            return True
        self._try(papers)
        return True

    def _carry(self) -> bool:
        """The agent's word and request, as they are; whether anything came of it."""
        told, asked = self._agents.told(), self._agents.asked()
        try:
            if told is not None:
                tell(self._door, told)
                self._agents.drop_told()
                return True
            granted = post(self._door, asked) if asked is not None else None
        except NotRenewed as problem:
            log.error("renewal-refused", code=problem.code)
            self._agents.drop_told()
            self._agents.drop_request()
            return True
        if granted is None or granted.state == "pending":
            return False
        self._agents.grant(msgspec.json.encode(granted))
        self._hatch.ring_agent()
        return True

    def _ask(self) -> bool:
        present = self._held.present()
        new = self._held.begin(fresh=self._settings.makes_keys)
        request = renewal.sign_asked(ROLE, new, present.secret(), present.chain())
        granted = post(self._door, request)
        if granted.state == "pending":
            return False
        try:
            chain = x509.load_pem_x509_certificates(granted.chain.encode())
            renewal.check_granted(chain, ROLE, self._settings.kit_id, new.public_key())
            trusted = roots.accept(
                roots.read(present.authorities.read_bytes()), roots.read(granted.authorities.encode())
            )
            check_chain(chain, trusted, chain[0].not_valid_before_utc)
        except (BadRenewal, BadChain, ValueError) as problem:
            raise LinkDown("bad-answer", "a certificate that is not for us") from problem
        bundle = b"".join(root.public_bytes(Encoding.PEM) for root in trusted)
        self._held.grant(granted.chain.encode(), bundle)
        log.info("certificate-on-trial", until=chain[0].not_valid_after_utc.isoformat())
        return True

    def _try(self, papers: Papers) -> None:
        try:
            prove(self._settings, papers, self._hatch.newest_time())
        except LinkDown as problem:
            if problem.code not in OF_THE_LINK:
                self._count_failure()
            raise
        with self._lock:
            self._held.promote()
            self._wanted, self._failed = False, 0
            self._hatch.renewal_carried_out()
        log.info("certificate-in-use", until=papers.chain()[0].not_valid_after_utc.isoformat())

    def _count_failure(self) -> None:
        """A link that is down says nothing of a certificate; one that the old certificate passes does."""
        answer = self._door.call("GET", "/kit/v1/renew", limit=_ANSWER_BYTES)
        self._failed += answer.status == 204
        if self._failed >= TRIES:
            self._failed = 0
            self._held.drop_trial()
            raise NotRenewed("not-let-in")

    def _tell(self) -> None:
        present = self._held.present()
        done = renewal.sign_done(ROLE, present.secret(), present.chain())
        tell(self._door, done)
        self._held.note_told()
        log.info("certificate-told")


def post(door: Door, request: str) -> Granted:
    """Ask, or ask again. LinkDown; NotRenewed with the fleet's code."""
    answer = door.post("/kit/v1/renew", {"request": request}, limit=_ANSWER_BYTES)
    if answer.status in (404, 422):
        raise NotRenewed(answer.read(_Refusal).error)
    if answer.status not in (200, 202):
        raise LinkDown(f"status-{answer.status}")
    return answer.read(Granted)


def tell(door: Door, done: str) -> None:
    """The new certificate is in use. LinkDown; NotRenewed with the fleet's code."""
    answer = door.post("/kit/v1/renew/done", {"done": done}, limit=_ANSWER_BYTES)
    if answer.status == 422:
        raise NotRenewed(answer.read(_Refusal).error)
    if answer.status != 204:
        raise LinkDown(f"status-{answer.status}")
