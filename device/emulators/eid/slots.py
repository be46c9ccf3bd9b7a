"""The slots of the virtual readers, two each, and what may be asked of them over the control socket.

{"do": "insert", "card": DIR, "slot": 0, "faults": [...], "paced": false}
{"do": "remove", "slot": 0}
{"do": "state"}                      -> slots, daemon, socket
{"do": "log", "slot": 0}             -> log: [[header hex, length, status hex], ...] since insertion
{"do": "daemon", "state": "stop" | "kill" | "start"}
{"do": "plug", "readers": [1]}       which readers there are: the first (slots 0, 1), the second (2, 3), none
"""

import socket
import time
from pathlib import Path
from typing import Any

from device.emulators.eid.daemon import PORTS_A_READER, READERS, Daemon, NoDaemon
from device.emulators.eid.faults import CardFault, parse
from device.emulators.eid.held import HeldCard, load_card
from device.emulators.eid.line import InsertedCard

SLOTS_A_READER = 2  # compiled into vpcd
SLOTS = SLOTS_A_READER * len(READERS)
ACCEPT_S = 5.0


class Slots:
    """A card stays in its slot when pcscd goes, as in a real reader, and is there when it comes back."""

    def __init__(self, daemon: Daemon, port: int) -> None:
        self._daemon = daemon
        self._port = port
        self._held: dict[int, tuple[HeldCard, tuple[CardFault, ...], bool]] = {}
        self._inserted: dict[int, InsertedCard] = {}

    def handle(self, wish: dict[str, Any]) -> dict[str, Any] | None:
        """Do what one request asks. ValueError when it is not understood or cannot be done."""
        slot = wish.get("slot", 0)
        if slot not in range(SLOTS):
            raise ValueError(f"slot is 0 to {SLOTS - 1}")
        match wish.get("do"):
            case "insert":
                self.insert(
                    slot,
                    load_card(Path(str(wish.get("card", "")))),
                    parse(wish.get("faults", [])),
                    bool(wish.get("paced", False)),
                )
                return None
            case "remove":
                self.remove(slot)
                return None
            case "state":
                return self._state()
            case "log":
                return {"log": self._log(slot)}
            case "daemon":
                self._turn(str(wish.get("state")))
                return None
            case "plug":
                self._plug(wish.get("readers"))
                return None
            case other:
                raise ValueError(f"do: {other!r} is not known")

    def insert(self, slot: int, card: HeldCard, faults: tuple[CardFault, ...], paced: bool) -> None:
        """In place of what is there."""
        self.remove(slot)
        self._held[slot] = (card, faults, paced)
        if self._daemon.running and slot // SLOTS_A_READER in self._daemon.plugged:
            self._connect(slot)

    def remove(self, slot: int) -> None:
        self._held.pop(slot, None)
        inserted = self._inserted.pop(slot, None)
        if inserted is not None:
            inserted.pull()

    def close(self) -> None:
        for slot in range(SLOTS):
            self.remove(slot)

    def _connect(self, slot: int) -> None:
        card, faults, paced = self._held[slot]
        end = time.monotonic() + ACCEPT_S
        while True:
            try:
                self._inserted[slot] = InsertedCard(card, self._port_of(slot), faults, paced)
                return
            except ConnectionRefusedError as error:  # pcscd opens the port a little after its socket
                if time.monotonic() > end:
                    raise ValueError(f"the virtual reader does not listen: {error}") from error
                time.sleep(0.02)
            except (socket.gaierror, TimeoutError) as error:
                raise ValueError(str(error)) from error

    def _port_of(self, slot: int) -> int:
        reader, place = divmod(slot, SLOTS_A_READER)
        return self._port + PORTS_A_READER * reader + place

    def _plug(self, readers: Any) -> None:
        if not isinstance(readers, list) or not all(reader in range(len(READERS)) for reader in readers):
            raise ValueError(f"readers are 0 to {len(READERS) - 1}")
        self._turn("stop")
        self._daemon.plug(tuple(readers))
        self._turn("start")

    def _turn(self, state: str) -> None:
        if state == "start":
            try:
                self._daemon.start()
            except NoDaemon as error:
                raise ValueError(str(error)) from error
            for slot in self._held:
                if slot // SLOTS_A_READER in self._daemon.plugged:
                    self._connect(slot)
        elif state in ("stop", "kill"):
            self._daemon.stop(kill=state == "kill")
            for inserted in self._inserted.values():
                inserted.pull()
            self._inserted.clear()
        else:
            raise ValueError("state is start, stop or kill")

    def _state(self) -> dict[str, Any]:
        cards = [self._inserted.get(slot) for slot in range(SLOTS)]
        return {
            "daemon": self._daemon.running,
            "socket": str(self._daemon.socket),
            "slots": [card is not None and card.inside for card in cards],
            "commands": [card.commands if card is not None else 0 for card in cards],
        }

    def _log(self, slot: int) -> list[list[Any]]:
        inserted = self._inserted.get(slot)
        if inserted is None:
            return []
        return [[entry.header.hex(), entry.length, entry.status.hex()] for entry in inserted.log]
