"""What every view needs at hand: the desk, the present snapshot and the place of the one who asks."""

from dataclasses import asdict, dataclass, field
from functools import cached_property
from threading import BoundedSemaphore
from typing import Any, cast

from flask import current_app, g

from device.agent.front import Front
from device.agent.snapshot import CardSignIn, PinView, Snapshot, VisitView
from device.kiosk.browser import Browser, Browsers
from device.kiosk.place import Place, place_of
from device.ports import Clock
from look import LANGUAGES
from protocol.catalogue.schema import Service

FOLLOWERS = 4  # may wait at once; one more is answered at once, so that pages always get a thread


@dataclass(frozen=True)
class Desk:
    """What the kiosk is made with."""

    front: Front
    clock: Clock
    browsers: Browsers
    waiting: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(FOLLOWERS))


class Present:
    """One request's view: the same snapshot from beginning to end."""

    def __init__(self, desk: Desk, browser: Browser) -> None:
        self.desk = desk
        self.browser = browser

    @cached_property
    def snapshot(self) -> Snapshot:
        return self.desk.front.now()

    @cached_property
    def place(self) -> Place:
        return self.place_in(self.snapshot)

    def place_in(self, snapshot: Snapshot) -> Place:
        return place_of(snapshot, self.desk.browsers.holds(self.browser), self.browser.seen)

    @property
    def visit(self) -> VisitView:
        """The open visit; only on pages that have one."""
        return cast(VisitView, self.snapshot.visit)

    @property
    def service(self) -> Service:
        """Of the open visit."""
        return self.visit.service

    def citizens_language(self) -> str:
        """As chosen on the screen, else as in the request, else the first."""
        chosen_for, language = self.browser.citizen
        if chosen_for == self.visit.visit_id:
            return language
        return self.visit.language if self.visit.language in LANGUAGES else LANGUAGES[0]

    def report(self, snapshot: Snapshot) -> dict[str, Any]:
        """`GET /desk`: what a script or a program may know. No names, no data of a citizen.

        `screen` is a name of `place.Screen`, `step` the first step that is not done ("" when there is none),
        `place` changes when another page is due.
        """
        place = self.place_in(snapshot)
        told: dict[str, Any] = {
            "version": snapshot.version,
            "screen": place.screen,
            "place": place.name,
            "step": "",
            "busy": None,
            "failure": None,
            "answer": None,
            "sealed": "",
            "csrf": self.browser.csrf,
        }
        if self.browser.answer:
            told["answer"] = {"code": self.browser.answer.code, "remedy": self.browser.answer.remedy}
        if place.screen == "unlock":
            gate = snapshot.gate
            told["gate"] = {
                "officers": [officer.officer_id for officer in gate.officers],
                "tries_left": gate.tries_left,
                "wait_s": gate.wait_s,
                "cards": [officer.officer_id for officer in gate.officers if officer.card],
                "card": _card(gate.card),
            }
            return told
        return told | _within(snapshot)


def present() -> Present:
    """Of this request."""
    if "present" not in g:
        g.present = Present(current_app.extensions["desk"], g.browser)
    return cast(Present, g.present)


def _pin(pin: PinView | None) -> dict[str, Any] | None:
    if pin is None:
        return None
    return {
        "entry": pin.entry,
        "tries_left": pin.tries_left,
        "certificate": pin.certificate,
        "said": pin.said,
    }


def _card(card: CardSignIn | None) -> dict[str, Any] | None:
    if card is None:
        return None
    return {
        "officer": card.officer.officer_id,
        "pin": _pin(card.pin),
        "problem": card.problem,
        "proven": card.proven,
    }


def _within(snapshot: Snapshot) -> dict[str, Any]:
    busy, failure, visit = snapshot.busy, snapshot.failure, snapshot.visit
    courier = snapshot.courier
    told: dict[str, Any] = {
        "visits": [{"visit_id": line.visit_id, "state": line.state} for line in snapshot.visits],
        "link": {
            "online": snapshot.link.online,
            "waiting": snapshot.link.waiting,
            "problem": snapshot.link.problem,
        },
    }
    if courier:
        told["courier"] = {
            "sticks": [line.name for line in courier.sticks or ()],
            "waiting": courier.waiting,
            "errand": asdict(courier.errand) if courier.errand else None,
        }
    if busy:
        told["busy"] = {
            "what": busy.what,
            "share": busy.share,
            "code": busy.code,
            "hand": busy.hand,
            "finger": busy.finger,
        }
    if failure:
        told["failure"] = {
            "code": failure.code,
            "remedy": failure.remedy,
            "what": failure.what,
            "reasons": list(failure.reasons),
        }
    if visit:
        told |= {
            "visit_id": visit.visit_id,
            "step": visit.step or "",
            "done": list(visit.done),
            "hands": [
                {"hand": each.hand, "wanted": each.wanted, "kept": each.kept, "excepted": each.excepted}
                for each in visit.hands
            ],
            "sealed": visit.sealed,
            "where": visit.where.step if visit.where else "",
            "answer_code": visit.answer_code,
            "only": list(visit.only),
            "why": visit.why,
            "asked_anew": list(visit.asked_anew),
            "packet_id": visit.packet_id,
            "abandoned": visit.abandoned,
        }
        told["pin"] = _pin(visit.pin)
        told["key"] = (
            {"challenge": visit.key.challenge, "credential": visit.key.credential} if visit.key else None
        )
    return told
