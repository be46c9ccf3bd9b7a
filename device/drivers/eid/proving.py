"""One proof that the holder's PIN and key are at hand: state, VERIFY once, one fresh challenge signed.

All of it in one transaction, and none of it twice: what is disturbed ends with an error, since a second
VERIFY would be a second try. The PIN goes to no card whose certificate is not under a trusted root.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from device.drivers.eid import pcsc
from device.drivers.eid.apdu import OK, Answer, BadAnswer, Command, Send, get_card_data
from device.drivers.eid.atr import is_belgian_eid
from device.drivers.eid.certificates import (
    SERIAL_NUMBER,
    BadCertificate,
    absent,
    certificate_key,
    names,
    parse,
)
from device.drivers.eid.chain import holder_anchor
from device.drivers.eid.channel import Channel, Disturbed, require_present
from device.drivers.eid.der import cut
from device.drivers.eid.files import AUTHENTICATION, AUTHORITY, BadStatus, read_file
from device.drivers.eid.genuine import applet_version
from device.drivers.eid.left_behind import Work
from device.drivers.eid.pin import BLOCKED, TRIES_LEFT, UNKNOWN, ask_state, state_of, wipe
from device.drivers.eid.possession import NoScheme, scheme_for
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import TrustStore
from device.errors import Code, KitError, Remedy
from device.ports import HolderCertificate, HolderProof, PinState, ProofOutcome

Result = TypeVar("Result")
CHALLENGE = 32  # bytes
SELECTS_FOLDER = 0x17
VERIFY_SHAPE = Command(0x00, 0x20, 0x00, 0x01)  # how its answer is to look: two bytes
FOLDER = Command(0x00, 0xA4, 0x08, 0x0C, bytes.fromhex("3F00DF00"))  # before MSE on 1.7 and later (eid-mw)


class Proving:
    """Used for one piece of work on `slot`. `now` is the wall clock with zone."""

    def __init__(
        self,
        work: Work[Any],
        settings: Settings,
        trust: TrustStore,
        now: Callable[[], datetime],
        slot: pcsc.Slot,
    ) -> None:
        self._work = work
        self._channel = Channel(work, settings.busy_s)
        self._settings = settings
        self._trust = trust
        self._now = now
        self._slot = slot

    def state(self) -> PinState:
        """What the card says of its PIN; nothing is asked where asking costs a try."""

        def ask(connection: pcsc.Connection, send: Send) -> PinState:
            applet = self._applet(send)
            certificate = _worth(self._holder(send))
            return replace(self._state(send, applet), certificate=certificate)

        return self._once(ask, reset=False)

    def prove(
        self, verify: bytearray, purpose: bytes, last_try: bool, accept: Callable[[HolderProof], bool]
    ) -> HolderProof:
        """`verify` is the whole VERIFY command; it is wiped here, whatever happens."""

        def run(connection: pcsc.Connection, send: Send) -> HolderProof:
            applet, holder = self._applet(send), self._holder(send)
            if holder.outcome != "proven":
                return holder
            if not accept(holder):
                return HolderProof("another-holder")
            return self._prove(connection, send, applet, holder, verify, purpose, last_try)

        try:
            return replace(self._once(run, reset=True), apdus=self._channel.apdus)
        finally:
            wipe(verify)

    def _once(self, run: Callable[[pcsc.Connection, Send], Result], reset: bool) -> Result:
        if self._slot.mute or not is_belgian_eid(self._slot.atr):
            raise KitError(Code.NOT_AN_EID, Remedy.OFFICER)
        try:
            with (
                self._channel.connected(self._slot.name) as connection,
                self._channel.transaction(connection, reset) as send,
            ):
                return run(connection, send)
        except (Disturbed, BadAnswer, BadStatus) as error:
            require_present(self._work, self._slot, str(error))
            raise KitError(Code.CARD_MUTE, Remedy.RETRY, str(error)) from error

    def _applet(self, send: Send) -> int:
        answer = send(get_card_data())
        return applet_version(answer.data) if answer.status == OK else 0

    def _state(self, send: Send, applet: int) -> PinState:
        command = ask_state(applet)
        return UNKNOWN if command is None else state_of(send(command).status)

    def _prove(
        self,
        connection: pcsc.Connection,
        send: Send,
        applet: int,
        holder: HolderProof,
        verify: bytearray,
        purpose: bytes,
        last_try: bool,
    ) -> HolderProof:
        certificate = parse(holder.certificate)
        key = certificate_key(certificate)
        try:
            scheme = scheme_for(key, applet)
        except NoScheme:
            return replace(holder, outcome="failed")
        state = self._state(send, applet)
        if state.blocked:
            return replace(holder, outcome="pin-blocked", tries_left=0)
        if state.last_try and not last_try:
            return replace(holder, outcome="last-try", tries_left=1)
        if applet >= SELECTS_FOLDER:
            send(FOLDER)
        _require(send(scheme.choose_key()), "MSE")
        status = self._verify(connection, verify)
        state = state_of(status)
        if status == BLOCKED or state.blocked:
            return replace(holder, outcome="pin-blocked", tries_left=0)
        if status & 0xFFF0 == TRIES_LEFT:
            return replace(holder, outcome="wrong-pin", tries_left=state.tries_left)
        if status != OK:
            raise BadStatus(status, "VERIFY")
        challenge = purpose + secrets.token_bytes(CHALLENGE)
        answer = send(scheme.sign(challenge))
        _require(answer, "PSO")
        signature = scheme.signature(key, challenge, answer.data)
        outcome: ProofOutcome = "failed" if signature is None else "proven"
        return replace(
            holder, outcome=outcome, challenge=challenge, signature=signature or b"", scheme=scheme.name
        )

    def _holder(self, send: Send) -> HolderProof:
        """Whose card it says it is, `proven` meaning that its certificate is worth a PIN."""
        stored = read_file(send, AUTHENTICATION, self._settings.block)
        if stored is None or absent(stored):
            return HolderProof("no-certificate")
        authority = read_file(send, AUTHORITY, self._settings.block) or b""
        try:
            certificate = parse(stored)
            anchor = holder_anchor(certificate, parse(authority), self._trust)
        except BadCertificate:
            return HolderProof("untrusted")
        numbers = names(certificate, SERIAL_NUMBER)
        if anchor is None or len(numbers) != 1:
            return HolderProof("untrusted")
        valid = certificate.not_valid_before_utc <= self._now() <= certificate.not_valid_after_utc
        return HolderProof(
            "proven",
            national_number=numbers[0],
            certificate=cut(stored),
            authority=cut(authority),
            certificate_valid=valid,
            test_trust=not anchor.pinned,
        )

    def _verify(self, connection: pcsc.Connection, verify: bytearray) -> int:
        """The one VERIFY, past the layers that would send it again."""
        raw = self._channel.transmit(connection, verify)
        return Answer.from_bytes(raw, VERIFY_SHAPE).status


def _worth(holder: HolderProof) -> HolderCertificate:
    if holder.outcome == "proven":
        return "valid" if holder.certificate_valid else "expired"
    return "absent" if holder.outcome == "no-certificate" else "untrusted"


def _require(answer: Answer, what: str) -> None:
    if answer.status != OK:
        raise BadStatus(answer.status, what)
