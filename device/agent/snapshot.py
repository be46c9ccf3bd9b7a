"""What the screens may know: one frozen value, replaced at every change, never changed.

It lives in memory only. Names are here while an officer is unlocked, and nowhere else.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from device.agent.events import Step
from device.errors import Code, Remedy
from device.ports import Address, Condition, Finger, Hand, HolderCertificate, Identity
from protocol.catalogue.schema import Service
from protocol.recapture import Part

LineState = Literal["planned", "open", "sealed", "uploaded", "accepted", "rejected", "recapture", "abandoned"]
SealedState = Literal["", "queued", "uploading", "uploaded", "accepted", "rejected", "recapture"]


@dataclass(frozen=True)
class Officer:
    officer_id: str
    name: str
    card: bool = False  # signs in with the own eID as well


@dataclass(frozen=True)
class PinView:
    """The PIN of the card in the reader: `entry` names the one entry that may be made now, `said` what came
    of the last one ("" before any; an outcome of `HolderProof`)."""

    entry: str = field(repr=False)
    tries_left: int | None
    certificate: HolderCertificate
    said: str


@dataclass(frozen=True)
class KeyView:
    """What the officer's security key is asked: `challenge` and `credential` in base64url."""

    challenge: str
    credential: str


@dataclass(frozen=True)
class CardSignIn:
    """An officer's own eID before the kit's PIN. `problem`: "other-card", or the code of a failure."""

    officer: Officer
    pin: PinView | None
    problem: str
    proven: bool


@dataclass(frozen=True)
class Gate:
    """The PIN gate: how many tries are left before a wait, and how long the present wait still lasts."""

    officers: tuple[Officer, ...]
    tries_left: int
    wait_s: int
    card: CardSignIn | None = None
    closed: bool = False  # the lease of the store has ended: no PIN opens it until the kit was online
    list_ended: bool = False  # the list of officers is too old: the same
    removed: bool = False  # somebody was taken off the list lately
    destroyed: int = 0  # visits whose time was up since it was closed
    clock_wrong: bool = False  # perhaps: it leapt, or it is behind what is known


@dataclass(frozen=True)
class VisitLine:
    """One row of today's list."""

    visit_id: str
    starts: datetime
    ends: datetime
    name: str
    street: str
    place: str  # postcode and municipality
    note: str
    state: LineState
    only: tuple[Part, ...] = ()  # a short visit that takes these parts anew


@dataclass(frozen=True)
class FingerView:
    """One hand: which finger is wanted now, what was taken, what was excepted."""

    hand: Hand
    wanted: Finger | None
    kept: Finger | None
    kept_record: str
    excepted: tuple[Finger, ...]


@dataclass(frozen=True)
class Where:
    """The last hand-over of the sealed application that the fleet knows of."""

    step: Literal["committed", "forwarded", "answered", "deleted"]
    at: datetime


@dataclass(frozen=True)
class VisitView:
    """The open visit. `step` is the first that is not done; None once it is sealed or abandoned."""

    visit_id: str
    step: Step | None
    done: tuple[Step, ...]
    name: str  # as in the request
    language: str
    identity: Identity | None
    address: Address | None
    card_flags: tuple[str, ...]
    card_genuine: str
    card_waived: str
    procedure: str
    photo_record: str
    hands: tuple[FingerView, ...]
    signature_record: str
    signature_excepted: str
    validity_note: Literal["", "twelve-months"]  # no prints for now: a card without them, 12 months
    sealed: SealedState
    answer_code: str
    packet_id: str
    abandoned: str
    service: Service = field(kw_only=True)
    pin: PinView | None = None
    possession: str = ""  # "proven", or why not
    where: Where | None = None
    has_key: bool = False  # the officer may seal with a security key
    key: KeyView | None = None  # it is asked just now
    card_record: str = ""  # its photo may be asked for with `part`, to compare
    only: tuple[Part, ...] = ()  # the parts that are taken anew; none when it is a whole visit
    why: str = ""  # with it: the service's code
    until: datetime | None = None  # with it: when it must be sealed
    asked_anew: tuple[Part, ...] = ()  # by the service, in its answer to what this visit sealed


BusyWith = Literal[
    "card",
    "pin-state",
    "possession",
    "officer-state",
    "officer-card",
    "photo",
    "finger",
    "signature",
    "seal",
]


@dataclass(frozen=True)
class Busy:
    """A capture that runs. `code` names what the citizen or officer should do now (words per language)."""

    what: BusyWith
    share: float
    code: str
    hand: Hand | None = None
    finger: Finger | None = None
    ink_svg: str = ""  # signature so far, for the screen


@dataclass(frozen=True)
class Failure:
    """The last capture or wish that failed, until the officer tries again or goes on."""

    code: Code
    remedy: Remedy
    what: str  # as Busy.what, or "wish"
    reasons: tuple[str, ...] = ()  # reason codes of a rejected card, hints of a poor capture


@dataclass(frozen=True)
class ParcelLine:
    """A sealed application that the fleet has not committed; `name` empty: of another day or kit."""

    packet_id: str
    name: str
    state: Literal["queued", "sending", "refused", "stopped"]  # stopped: refused, and not offered again
    code: str  # the fleet's, when refused or stopped
    minutes: int  # it waits


@dataclass(frozen=True)
class Lease:
    """How long the store opens without the fleet, and for how many new visits."""

    enough_for_today: bool  # also for the visits of the list that have not begun
    hours: int
    visits: int
    enough_for_tomorrow: bool = True


@dataclass(frozen=True)
class Link:
    """What the uplink last said of itself."""

    online: bool
    waiting: int  # sealed applications not yet committed by the fleet
    oldest_s: int
    sending_share: float | None  # of the packet now being sent
    problem: str = ""  # why nothing is sent just now, one of the uplink's codes
    parcels: tuple[ParcelLine, ...] = ()
    outage: tuple[datetime, datetime] | None = None  # from when to when the fleet means to be away


ErrandKind = Literal["export", "import"]
ErrandProblem = Literal["", "gone", "full", "read-only", "nothing", "kit-full", "no-keys"]


@dataclass(frozen=True)
class StickLine:
    """A stick that is in, and how many finished files lie on it."""

    name: str
    packets: int
    receipts: int
    free_mb: int
    state: Literal["ready", "read-only", "unreadable"]


@dataclass(frozen=True)
class Errand:
    """Carrying to or from one stick: `done` of `of` files dealt with; `packets` and `receipts` are those that
    were new, `there` had been carried before, `others` are receipts for another kit. `refused` says why of
    each (a word of `courier.Why`)."""

    what: ErrandKind
    stick: str
    state: Literal["running", "done", "failed"]
    done: int = 0
    of: int = 0
    packets: int = 0
    receipts: int = 0
    there: int = 0
    others: int = 0
    refused: tuple[str, ...] = ()
    problem: ErrandProblem = ""


@dataclass(frozen=True)
class Courier:
    """The screen for carrying by hand is open. `sticks` None: not looked yet."""

    sticks: tuple[StickLine, ...] | None
    errand: Errand | None
    waiting: int = 0  # what an export would take along


@dataclass(frozen=True)
class Snapshot:
    version: int
    gate: Gate
    officer: Officer | None
    visits: tuple[VisitLine, ...]
    bag_date: str
    visit: VisitView | None
    busy: Busy | None
    failure: Failure | None
    peripherals: dict[str, Condition] = field(default_factory=dict)
    link: Link = field(default_factory=lambda: Link(False, 0, 0, None))
    lease: Lease | None = None
    stranded: tuple[datetime, ...] = ()  # when a visit of today begins whose officer cannot open this kit
    courier: Courier | None = None
    newcomers: tuple[Officer, ...] = ()  # on the list with a code, and not on this kit yet
    test_trust: bool = False
    example_picture: bool = False
    aside: int = 0  # visits of today that only newer software can read
    lost: int = 0  # visits that were begun, and whose request is damaged
    reduced_protection: bool = True
    language: str = ""  # the officer's, until another is chosen; "": as the kit's file says
