"""What the desk's thread works with: vault, gate, journal, counter, captures, outgoing; and what it shows."""

from dataclasses import replace

import structlog

from device.agent import view
from device.agent.access import Access, Ways
from device.agent.captures import Captures, Running, Taken
from device.agent.cases import Cases
from device.agent.counter import Counter
from device.agent.daybag import DayBags
from device.agent.doctor import look_around
from device.agent.errands import Errands
from device.agent.front import CaptureKind
from device.agent.jobs import Deeds
from device.agent.key_sealing import KeySealing
from device.agent.leasing import GRACE, Leasing
from device.agent.outgoing import Outgoing
from device.agent.pulse import Pulse
from device.agent.readiness import is_ready, judge
from device.agent.resigning import Resigning
from device.agent.retention import Calendar, Retention
from device.agent.roster import Officers
from device.agent.screen import Screen
from device.agent.sealing import Sealer
from device.agent.session import begin, is_open
from device.agent.setup import Setup
from device.agent.signin import SignIn, with_cards
from device.agent.snapshot import Gate, Officer, Snapshot, Where
from device.agent.steering import Steering
from device.agent.workers import Post
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Finger, Hand
from device.spool.leases import LeaseDesk
from device.spool.records import LinkStatus, Places
from device.vault.cards import Cards
from device.vault.database import Database, Transaction
from device.vault.gate import Gate as PinGate
from device.vault.security_keys import SecurityKeys
from device.vault.store import Store
from protocol.instant import read_instant

log = structlog.get_logger()

LOOK_S = 2.0
"""How often the spool is looked at without a ring of its bell."""


_OFFICERS = ("officer-state", "officer-card")
_NEARLY_SEALED = ("review", "seal")
"""What runs for an officer who is about to sign in."""


class Office:
    """Made and used on the desk's thread alone."""

    def __init__(self, setup: Setup, post: Post, screen: Screen) -> None:
        """KitError vault-damaged, disk-full, bad-config when the kit cannot work."""
        self._setup = setup
        self._post = post
        self._screen = screen
        self._clock = clock = setup.clock
        self._database = Database(setup.vault)
        self._store = store = Store(self._database)
        self._gate = PinGate(self._database, setup.key_source, clock, setup.administrator)
        calendar = Calendar(self._database, clock)
        self._access = Access(self._database, setup.spool, clock)
        self.ways = Ways(self._gate, self._access, calendar, clock, setup.passed)
        self._cases = Cases(self._database, clock, setup.catalogue, setup.passed, self._begun)
        self.roster = Officers(
            self._database,
            self._gate,
            self._access,
            calendar,
            clock,
            setup.passed,
            setup.kit.kit_id,
            setup.command_keys,
            setup.officer_roots,
        )
        self._calendar = calendar
        self._leasing = Leasing(
            self._database,
            LeaseDesk(setup.spool.root),
            setup.key_source,
            setup.kit,
            setup.command_keys,
            calendar,
            self._cases,
            self._access,
            clock,
            setup.passed,
            self.roster.take,
            wanted=setup.lease_wanted,
        )
        self.captures = Captures(setup.openers, post, clock, self._taken, self._failed, setup.deadlines)
        self._cards = Cards(self._database)
        self.sign_in = SignIn(self.captures, self._cards, setup.kit.kit_id, clock)
        self._outgoing = Outgoing(
            self._cases, store, setup.spool, setup.recipients, setup.kit, clock, setup.passed
        )
        sealer = Sealer(setup.kit, setup.recipients, setup.data, clock)
        self._keyed = KeySealing(SecurityKeys(self._database), sealer, setup.officer_roots, clock)
        ours = (self._cases, self.captures, sealer, clock, setup.passed)
        self.counter = Counter(*ours, lambda: post(self._tidy), self._keyed)
        self._retention = Retention(
            calendar,
            self._cases,
            store,
            setup.spool,
            clock,
            setup.drafts,
            on_counter=lambda: self.counter.visit_id,
            let_go=self.counter.leave,
        )
        self.errands = Errands(setup, post)
        deeds = Deeds(self.lock, lambda: self._pulse.hurry(), self._is_well, lambda: self._resigning.renew())
        self._steering = Steering(setup, self._database, calendar, deeds)
        self._tuned = self._steering.tuned
        protection = setup.key_source.protection
        self._pulse = Pulse(
            setup.spool,
            clock,
            setup.sys,
            setup.data,
            self._tuned,
            lambda: setup.kit.until,
            protection,
        )
        self._resigning = Resigning(setup.kit, setup.signing, setup.spool, clock)
        self._link: LinkStatus = setup.spool.link()
        self._places: Places = setup.spool.places()
        self._standing = self._gate.standing()
        self._officers: tuple[Officer, ...] = ()
        self._bags = DayBags(setup.spool, setup.command_keys, setup.kit.kit_id, clock)
        self._look_at = clock.monotonic()
        self._idle_since = clock.monotonic()
        self.captures.begin()
        self.look()

    # --- what is asked --------------------------------------------------------------------------------

    def unlock(self, officer_id: str, pin: str) -> None:
        """KitError wrong-pin, too-many-tries, unknown-officer, lease-ended, vault-damaged."""
        card = self.sign_in.proven(officer_id)
        self.lock()
        self._leasing.check_unlock()
        if self.roster.ended() and not self._leasing.finishing():
            raise KitError(Code.ROSTER_ENDED, Remedy.OFFICER)
        try:
            vault = self._gate.unlock(officer_id, pin, card)
        except KitError as problem:
            log.warning("not-unlocked", officer=officer_id, code=str(problem.code))
            raise
        finally:
            self._standing = self._gate.standing()
        try:
            self.counter.take_up(begin(vault, self._cases.visits))
        except KitError:
            vault.lock()
            raise
        log.info("unlocked", officer=officer_id, card=bool(card))
        self.sign_in.forget()
        self._bags.begin()
        self._take_bag()

    def show_card(self, officer_id: str) -> None:
        """Refused not-now while somebody is signed in, and for an officer without a card."""
        officer = next((each for each in self._officers if each.officer_id == officer_id), None)
        if self.counter.session is not None or officer is None:
            raise Refused(Code.NOT_NOW)
        self.sign_in.ask(officer)

    def hide_card(self) -> None:
        if self.counter.session is None:
            self.captures.abandon()
            self.sign_in.forget()

    def choose(self, visit_id: str) -> None:
        """KitError lease-ended for a visit that has not begun."""
        if visit_id not in self._cases.visits:
            self._leasing.check_begin()
        self.errands.close()
        self.counter.choose(visit_id)
        self._post(self._tidy)

    def carry(self) -> None:
        """Refused not-now while nobody is signed in, or a visit is open."""
        if self.counter.session is None or self.counter.visit_id:
            raise Refused(Code.NOT_NOW)
        self.errands.open()

    def lock(self) -> None:
        self.errands.close()
        if self.counter.session is not None:
            log.info("locked", officer=self.counter.session.officer.officer_id)
        self.counter.put_down()

    def begin(self, what: CaptureKind, hand: Hand | None, finger: Finger | None) -> None:
        rest = self.counter.start(what, hand, finger)
        if rest is not None:
            self._post(rest)

    def try_now(self) -> None:
        """KitError disk-full."""
        log.info("try-now")
        self._setup.spool.try_now()

    # --- what happens ---------------------------------------------------------------------------------

    def asked(self) -> None:
        """Somebody asked something: the officer is there, and must see what came of it with the answer."""
        self._idle_since = self._clock.monotonic()
        self.show()

    def tick(self) -> None:
        now = self._clock.monotonic()
        self.captures.watch()
        if self.captures.running is not None or self.errands.is_running:
            self._idle_since = now
        if self.counter.session is not None and now - self._idle_since > self._tuned.idle_lock_s:
            log.info("idle")
            self.lock()
        self.sign_in.tick()
        self.errands.tick()
        if self._standing.wait_s:
            self._standing = self._gate.standing()
        if now >= self._look_at:
            self.look()

    def look(self) -> None:
        """Into the spool: uploads, answers, a new bag, the link; and put there what is not there yet."""
        self._look_at = self._clock.monotonic() + LOOK_S
        self._outgoing.pull()
        self._retention.look()
        self._outgoing.push()
        session = self.counter.session
        self._resigning.look(self.counter.in_visit)
        if self._leasing.look(session.vault if session else None, self.counter.in_visit):
            self.lock()
        self._look_at_officers()
        self._access.push()
        self._take_bag()
        self._steering.look(self.counter.in_visit)
        self._link = self._setup.spool.link()
        self._places = self._setup.spool.places()
        self._pulse.beat(
            self.captures.conditions,
            view.link(self._link),
            self._link.reports_waiting,
            self.counter.in_visit,
            self._retention.drafts(),
            self._bags.unread,
        )

    def close(self) -> None:
        self.lock()
        self.captures.end(1.0)
        self.errands.end(0.5)
        self._database.close()

    # --- what is shown --------------------------------------------------------------------------------

    def show(self) -> None:
        session = self.counter.session
        left = self._leasing.left()
        lines = view.lines(session.requests.values(), self._cases.visits) if session else ()
        conditions = dict(self.captures.conditions)
        camera = conditions.get("camera")
        visit = self.counter.visit_view(self._link.sending)
        self._outgoing.announce(visit is not None and visit.step in _NEARLY_SEALED)
        if visit is not None and visit.packet_id in self._places:
            place = self._places[visit.packet_id]
            visit = replace(visit, where=Where(place.step, read_instant(place.at)))
        self._screen.show(
            Snapshot(
                version=0,
                gate=Gate(
                    self._officers,
                    self._standing.tries_left,
                    self._standing.wait_s,
                    self.sign_in.view,
                    left.ended,
                    self.roster.ended(),
                    self.roster.removed_lately(),
                    self._retention.destroyed_since(self._leasing.closed_since()),
                    self._steering.clock_wrong,
                ),
                lease=view.lease(left, lines),
                officer=session.officer if session else None,
                newcomers=self.roster.waiting() if session else (),
                visits=lines,
                stranded=view.stranded(session.others, self._officers) if session else (),
                bag_date=session.bag_date if session else "",
                aside=len(session.aside) if session else 0,
                lost=len(session.lost) if session else 0,
                visit=visit,
                busy=self.counter.busy(),
                failure=self.counter.failure,
                peripherals=conditions,
                link=view.link(self._link, self._names()),
                courier=self.errands.view,
                test_trust=self.counter.test_trust,
                example_picture=camera is not None and camera.example,
                language=self._tuned.language,
                reduced_protection=self._setup.key_source.protection == "reduced",
            )
        )

    # --- inside ---------------------------------------------------------------------------------------

    def enrol(self, officer_id: str, code: str, pin: str) -> None:
        """As `Officers.enrol`; the newcomer may sign in at once."""
        self.roster.enrol(self.counter.session, officer_id, code, pin)
        self._look_at_officers()

    def register_key(self, client_data: str, attestation_object: str) -> None:
        """Refused locked."""
        self._keyed.register(self.counter.session, client_data, attestation_object)

    def _look_at_officers(self) -> None:
        """Who may be here, and who not any more."""
        try:
            if self.roster.look(self.counter.session, busy=self._may_finish()):
                self.lock()
                self.roster.look(None, busy=False)
            if self.roster.ended() and not self.counter.in_visit and not self._leasing.finishing():
                self.lock()
        except KitError as problem:
            log.error("roster-waits", code=str(problem.code), detail=problem.detail)
        known = tuple(Officer(each.officer_id, each.name) for each in self._gate.officers())
        self._officers = with_cards(known, self._cards)
        self.roster.sweep()

    def _may_finish(self) -> bool:
        """Whether a visit is on the counter that was begun lately."""
        visit_id = self.counter.visit_id
        return bool(visit_id) and self._calendar.age(visit_id) < GRACE

    def _names(self) -> dict[str, str]:
        """Whose packet it is, of those on today's list; only while an officer is there."""
        session = self.counter.session
        if session is None:
            return {}
        visits = {parcel.packet_id: self._cases.of_packet(parcel.packet_id) for parcel in self._link.parcels}
        return {
            packet_id: session.requests[visit_id].citizen.name
            for packet_id, visit_id in visits.items()
            if visit_id in session.requests
        }

    def _taken(self, running: Running, taken: Taken) -> None:
        place = self.sign_in if running.what in _OFFICERS else self.counter
        place.taken(running, taken)

    def _failed(self, running: Running, problem: KitError) -> None:
        place = self.sign_in if running.what in _OFFICERS else self.counter
        place.failed(running, problem)

    def _tidy(self) -> None:
        """After a fact, once the screen tells it: it is on disk, and nobody should wait for the rest."""
        try:
            self._setup.passed("tidied:before")
            self._database.settle()
            if is_open(self._cases.visits.get(self.counter.visit_id)):
                self._store.make_room(self.counter.visit_id)
                self.counter.rehearse()
            self._setup.passed("tidied:after")
        except KitError as problem:
            log.error("vault-unsettled", code=str(problem.code), detail=problem.detail)
        self._outgoing.push()

    def _is_well(self) -> bool:
        conditions, officers, visits = self.captures.conditions, len(self._officers), len(self._cases.visits)
        found = look_around(self._setup, conditions, officers, visits, self._leasing.left())
        return is_ready(judge(found))

    def _begun(self, tx: Transaction, visit_id: str) -> None:
        self._leasing.begun(tx, visit_id)

    def _take_bag(self) -> None:
        """A newer bag than the one at hand, or what to complain of."""
        session = self.counter.session
        if session is None:
            return
        before = session.bag_version
        complaint = self._bags.take(session, self._cases.visits)
        if complaint is not None:
            self.counter.failure = complaint
        elif session.bag_version != before and self.counter.visit_id not in session.requests:
            self.counter.leave()  # it was over, and today's list no longer has its name
