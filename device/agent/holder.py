"""The holder's PIN at the counter: what the card says of it, and that one entry goes to the card once.

Every page that asks for the PIN carries the number of its entry; an entry is used up when it is given, so
a second tap, a page from the browser's memory or a form sent again finds no entry left. Nothing of it is
remembered over a restart: then the card is asked anew.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from device.agent.snapshot import PinView
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Capture, CardHolderProof, HolderCertificate, HolderProof, PinState
from protocol.catalogue.schema import PossessionRules
from protocol.instant import write_instant
from protocol.possession import Evidence

_WORTH: dict[str, HolderCertificate] = {"no-certificate": "absent", "untrusted": "untrusted"}
_LEFT = {"pin-blocked": 0, "last-try": 1}


class PinPad:
    """What is known of the PIN of the card in the reader, and the entry that may be made now."""

    def __init__(self) -> None:
        self.view: PinView | None = None
        self._asked = PinState(tries_left=None)

    def forget(self) -> None:
        self.view = None

    def told(self, state: PinState) -> None:
        """The card was asked."""
        self._asked = state
        self._show(state, "")

    def answered(self, proof: HolderProof) -> None:
        """An entry that did not prove anything; a card of another is not looked at any further."""
        if proof.outcome == "another-holder":
            self.view = None
            return
        left = _LEFT.get(proof.outcome, proof.tries_left)
        worth = _WORTH.get(proof.outcome, self._asked.certificate)
        self._show(replace(self._asked, tries_left=left, certificate=worth), proof.outcome)

    def use(self, entry: str, rules: PossessionRules) -> None:
        """Use up this entry. Refused not-now when it is not the one that may be made, or none may."""
        view = self.view
        if view is None or not secrets.compare_digest(view.entry.encode(), entry.encode()):
            raise Refused(Code.NOT_NOW, "no such entry")
        if not may_enter(view, rules):
            raise Refused(Code.NOT_NOW, "a PIN would lead nowhere")
        self.view = None

    def _show(self, state: PinState, said: str) -> None:
        self.view = PinView(secrets.token_urlsafe(16), state.tries_left, state.certificate, said)


def may_enter(view: PinView, rules: PossessionRules) -> bool:
    """Whether the PIN of this card can prove anything for a service with these rules."""
    if view.tries_left == 0:
        return False
    return view.certificate == "valid" or (view.certificate == "expired" and rules.expired)


class Entered:
    """The digits on their way from the screen to the driver: given once, or wiped."""

    def __init__(self, pin: bytearray) -> None:
        self._pin: bytearray | None = pin
        self._lock = threading.Lock()

    def take(self) -> bytearray:
        """For the driver, which wipes it. KitError cancelled when there is nothing left to take."""
        with self._lock:
            pin, self._pin = self._pin, None
        if pin is None:
            raise KitError(Code.CANCELLED, Remedy.RETRY)
        return pin

    def drop(self) -> None:
        """Wipe it, unless the driver has it."""
        with self._lock:
            pin, self._pin = self._pin, None
        if pin is not None:
            pin[:] = bytes(len(pin))


def proving(
    entered: Entered, purpose: bytes, last_try: bool, accept: Callable[[HolderProof], bool]
) -> Callable[[CardHolderProof, Capture], HolderProof]:
    """The job of the card's worker: one entry, to a card that `accept` takes."""

    def prove(reader: CardHolderProof, capture: Capture) -> HolderProof:
        if capture.cancel.is_set():
            raise KitError(Code.CANCELLED, Remedy.RETRY)
        return reader.prove(entered.take(), capture, purpose=purpose, last_try=last_try, accept=accept)

    return prove


def of_number(number: str) -> Callable[[HolderProof], bool]:
    """Takes the card of the person with this national number alone."""
    return lambda holder: holder.national_number == number


def evidence(proof: HolderProof, at: datetime) -> Evidence:
    """What is kept of a proof, so that the service can check it again."""
    assert proof.scheme  # a proof that was proven has one
    return Evidence(
        scheme=proof.scheme,
        message=proof.challenge,
        signature=proof.signature,
        certificate=proof.certificate,
        authority=proof.authority,
        at=write_instant(at),
        certificate_valid=proof.certificate_valid,
    )
