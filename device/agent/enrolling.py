"""An officer's own eID made a second thing to show at sign-in, or taken away again. From the command line."""

import threading
from pathlib import Path

from device.agent.signin import purpose
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Capture, CardHolderProof, Clock, HolderProof, KeySource
from device.vault.cards import NO_CARD, fingerprint
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.security_keys import SecurityKey, SecurityKeys
from protocol.identity import BadIdentity

PATIENCE_S = 40.0


def enrol(
    vault: Path,
    source: KeySource,
    clock: Clock,
    reader: CardHolderProof,
    kit_id: str,
    officer_id: str,
    pin: str,
    card_pin: bytearray,
    last_try: bool,
) -> HolderProof:
    """Let the officer's card sign, and need it from now on; the proof, whose outcome says whether it did.

    `pin` is the officer's PIN of this kit, `card_pin` that of the card (wiped). KitError as `Gate.unlock` (it
    is tried first, so that a wrong one costs the card nothing) and as `CardHolderProof.prove`."""
    database = _open(vault)
    try:
        gate = Gate(database, source, clock)
        gate.unlock(officer_id, pin, gate.card(officer_id)).lock()
        capture = Capture(PATIENCE_S, lambda share, code: None, threading.Event())
        said = purpose(kit_id, officer_id)
        proof = reader.prove(card_pin, capture, purpose=said, last_try=last_try, accept=_is_valid)
        if proof.outcome == "proven":
            gate.need_card(officer_id, pin, fingerprint(proof.certificate))
        return proof
    finally:
        card_pin[:] = bytes(len(card_pin))
        database.close()


def release(vault: Path, source: KeySource, clock: Clock, officer_id: str, pin: str) -> None:
    """The kit's PIN alone opens the vault again: the card was lost, say. KitError as `Gate.unlock`."""
    database = _open(vault)
    try:
        Gate(database, source, clock).need_card(officer_id, pin, NO_CARD)
    finally:
        database.close()


def _is_valid(holder: HolderProof) -> bool:
    return holder.certificate_valid


def _open(vault: Path) -> Database:
    if not vault.exists():
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "there is no vault yet")
    return Database(vault)


def enrol_key(
    vault: Path, source: KeySource, clock: Clock, officer_id: str, pin: str, key: SecurityKey | None
) -> None:
    """Let the officer seal with this security key; with none no longer.

    KitError as `Gate.unlock`; bad-config when it is not this officer's."""
    database = _open(vault)
    try:
        gate, keys = Gate(database, source, clock), SecurityKeys(database)
        gate.unlock(officer_id, pin, gate.card(officer_id)).lock()
        with database.transaction() as tx:
            keys.drop(tx, officer_id)
            if key is not None:
                keys.write(tx, officer_id, key)
    except (ValueError, BadIdentity) as problem:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, f"security key: {problem}") from problem
    finally:
        database.close()


def requested_key(vault: Path, officer_id: str) -> str:
    """The registration that waits for a certificate, JSON. Refused not-now when none does."""
    database = _open(vault)
    try:
        told = SecurityKeys(database).requested(officer_id)
    finally:
        database.close()
    if told is None:
        raise Refused(Code.NOT_NOW, "no key was registered at the kiosk")
    return told
