"""The first hour of a kit: a vault with its officers, and the key pair of its day bag."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from device.agent.access import book
from device.agent.session import bag_recipient, make_bag_key
from device.errors import Code, KitError, Refused, Remedy
from device.ports import Clock, KeySource
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.recovery import Administrator
from device.vault.store import OpenVault
from protocol.identity import BadIdentity


class NewOfficer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An officer who may unlock this kit: PIN, signing key (PKCS#8 PEM), certificates (PEM, leaf first)."""

    officer_id: str
    name: str
    pin: str
    key_pem: str
    cert_pem: str

    def __repr__(self) -> str:
        return f"NewOfficer({self.officer_id})"


def found(
    path: Path,
    source: KeySource,
    clock: Clock,
    officers: Sequence[NewOfficer],
    administrator: Administrator | None = None,
) -> str:
    """Make the vault at `path` with all these officers; the recipient (age1pq1...) of the kit's day bag.

    All or nothing. Refused not-now when there is a vault already; KitError bad-config when there is no
    officer, or the PIN, key or certificate of one will not do."""
    if path.exists():
        raise Refused(Code.NOT_NOW, "there is a vault already")
    if not officers:
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "no officers")
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    database = Database(unfinished)
    try:
        gate = Gate(database, source, clock, administrator)
        vault = gate.create()
        recipient = make_bag_key(vault)
        for officer in officers:
            _add(gate, vault, officer)
    finally:
        database.close()
    unfinished.rename(path)
    _flush_folder(path.parent)  # before anybody is told to whom the bag is to be sealed
    return recipient


def add(
    path: Path,
    source: KeySource,
    clock: Clock,
    officer: NewOfficer,
    by: str,
    by_pin: str,
    administrator: Administrator | None = None,
) -> str:
    """Let one more officer in, on the word of one who is in; the recipient of the day bag.

    KitError as `Gate.unlock`; bad-config when there is no vault, or PIN, key or certificate will not do."""
    if not path.exists():
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "there is no vault yet")
    database = Database(path)
    try:
        gate = Gate(database, source, clock, administrator)
        vault = gate.unlock(by, by_pin)
        try:
            _add(gate, vault, officer)
            with database.transaction() as tx:
                book(clock, "officer-added", officer.officer_id)(tx)
            return bag_recipient(vault)
        finally:
            vault.lock()
    finally:
        database.close()


def remove(path: Path, source: KeySource, clock: Clock, officer_id: str, by: str, by_pin: str) -> None:
    """Shut an officer out, on the word of one who is in. Not while the agent runs: it holds the old keys.

    KitError as `Gate.unlock` and `Gate.remove_officer`; bad-config without a vault, or for the officer
    who does it."""
    if not path.exists():
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "there is no vault yet")
    database = Database(path)
    try:
        gate = Gate(database, source, clock)
        vault = gate.unlock(by, by_pin)
        try:
            gate.remove_officer(vault, officer_id, book(clock, "officer-removed", officer_id))
        except ValueError as problem:
            raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, str(problem)) from problem
        finally:
            vault.lock()
    finally:
        database.close()


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _add(gate: Gate, vault: OpenVault, officer: NewOfficer) -> None:
    try:
        gate.add_officer(
            vault,
            officer.officer_id,
            officer.name,
            officer.pin,
            officer.key_pem.encode(),
            officer.cert_pem.encode(),
        )
    except (ValueError, TypeError, BadIdentity) as problem:  # a WeakPin is a ValueError; none holds the PIN
        detail = f"officer {officer.officer_id}: {problem}"
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail) from problem
