"""An officer who signs in with the own eID first: the card is proven, then the kit's PIN opens the vault.

The same entries and the same proof as for a citizen; the card must be the very one that was enrolled. What
was proven counts for one minute and for one unlocking.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from device.agent.captures import Captures, Running, Taken
from device.agent.holder import Entered, PinPad, proving
from device.agent.snapshot import CardSignIn, Officer
from device.errors import Code, KitError, Refused
from device.ports import Clock, HolderProof, PinState
from device.vault.cards import NO_CARD, Cards, fingerprint
from protocol.catalogue.schema import PossessionRules

log = structlog.get_logger()

COUNTS_S = 60.0
RULES = PossessionRules()  # an expired certificate does not let an officer in


def purpose(kit_id: str, officer_id: str) -> bytes:
    """What stands before the challenge that an officer's card signs."""
    return f"thuisloket-sign-in/1\n{kit_id}\n{officer_id}\n".encode()


def is_card(proof: HolderProof, enrolled: bytes) -> bool:
    """Whether this is the card that was enrolled, with a certificate that is valid now."""
    return proof.certificate_valid and fingerprint(proof.certificate) == enrolled


@dataclass(frozen=True)
class _Proven:
    officer_id: str
    card: bytes
    until: float  # monotonic


class SignIn:
    """All calls on the desk's thread, while nobody is signed in."""

    def __init__(self, captures: Captures, cards: Cards, kit_id: str, clock: Clock) -> None:
        self._captures = captures
        self._cards = cards
        self._kit_id = kit_id
        self._clock = clock
        self._pad = PinPad()
        self._officer: Officer | None = None
        self._proven: _Proven | None = None
        self._problem = ""

    @property
    def view(self) -> CardSignIn | None:
        if self._officer is None:
            return None
        return CardSignIn(self._officer, self._pad.view, self._problem, self._is_proven())

    def ask(self, officer: Officer) -> None:
        """Look at the officer's card. Refused not-now without one, or while something runs."""
        if self._captures.running is not None or not self._cards.of(officer.officer_id):
            raise Refused(Code.NOT_NOW, "no card is asked for")
        self.forget()
        self._officer = officer
        self._captures.start("officer-state")

    def enter(self, entry: str, entered: Entered, last_try: bool) -> None:
        """One entry of the PIN of the officer's card. Refused not-now: nothing was sent."""
        if self._captures.running is not None or self._officer is None:
            raise Refused(Code.NOT_NOW, "no PIN is asked for")
        self._pad.use(entry, RULES)
        self._problem = ""
        enrolled = self._cards.of(self._officer.officer_id)
        signed = purpose(self._kit_id, self._officer.officer_id)
        accept: Callable[[HolderProof], bool] = lambda holder: is_card(holder, enrolled)  # noqa: E731
        work = proving(entered, signed, last_try, accept)
        self._captures.start("officer-card", work=work, over=entered.drop)

    def taken(self, running: Running, taken: Taken) -> None:
        if isinstance(taken, PinState):
            self._pad.told(taken)
        elif isinstance(taken, HolderProof) and self._officer is not None:
            log.info("officer-card", officer=self._officer.officer_id, outcome=taken.outcome)
            if taken.outcome == "proven":
                card, until = fingerprint(taken.certificate), self._clock.monotonic() + COUNTS_S
                self._proven = _Proven(self._officer.officer_id, card, until)
                return
            self._pad.answered(taken)
            if taken.outcome == "another-holder":
                self._problem = "other-card"

    def failed(self, running: Running, problem: KitError) -> None:
        log.warning("officer-card-failed", code=str(problem.code), detail=problem.detail)
        self._problem = str(problem.code)

    def proven(self, officer_id: str) -> bytes:
        """The card this officer has proven a moment ago; NO_CARD when there is none."""
        proven = self._proven
        return proven.card if proven and self._is_proven() and proven.officer_id == officer_id else NO_CARD

    def forget(self) -> None:
        self._pad.forget()
        self._officer, self._proven, self._problem = None, None, ""

    def tick(self) -> None:
        if self._proven is not None and not self._is_proven():
            self.forget()

    def _is_proven(self) -> bool:
        return self._proven is not None and self._clock.monotonic() < self._proven.until


def with_cards(officers: tuple[Officer, ...], cards: Cards) -> tuple[Officer, ...]:
    """The officers, each with whether a card is needed."""
    return tuple(replace(each, card=bool(cards.of(each.officer_id))) for each in officers)
