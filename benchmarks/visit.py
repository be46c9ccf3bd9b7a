"""A whole headless visit against the time that its bytes need on the wires of the peripherals.

The wire is what no program can shorten: the module's image at 115,200 baud, the pad's packets at 19,200, the
card's answers at the speed its answer to reset promises. What the visit takes beyond that is ours: judging,
storing, sealing, sending, and the pause that tells that a pen has rested.
"""

import json
import os
import select
import socket
import time
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device.emulators.eid.held import load_card
from device.emulators.eid.pace import Pace
from provisioning.demo import headless
from provisioning.demo.cast import CITIZENS
from provisioning.demo.progress import Progress
from provisioning.demo.running import Demo, Script, running
from provisioning.demo.world import SERIAL

FINGER_BYTES = 272 * 320  # one raw image of the emulated module, 8-bit grey
BITS_8N1 = 10
STATUS_BYTES, HEADER_BYTES = 2, 5
SILENT_S = 1.0
LONGEST_SIGNATURE_S = 30.0


@dataclass(frozen=True)
class VisitResult:
    """Seconds: until ready, of the visit, of each of its steps, and on each wire."""

    ready_s: float
    visit_s: float
    wire_s: float
    ratio: float
    steps: dict[str, float]
    wires: dict[str, float]


def measure(folder: Path, portrait: Path) -> VisitResult:
    """Play one visit in `folder`, then measure the wires of the same emulators."""
    began = time.monotonic()
    quiet = Progress(printer=lambda line: None)
    with running(folder, Script(portrait, CITIZENS[:1], spare_ports=True), quiet) as demo:
        ready = time.monotonic() - began
        visit = Progress(printer=lambda line: None)
        card: list[float] = []

        def watch(moment: str) -> None:
            if moment == "read the card:done":
                card.append(card_wire(demo))

        began = time.monotonic()
        packet_id = headless.play_visit(demo, visit, watch)
        took = time.monotonic() - began
        headless.check(demo, packet_id)
        wires = {
            "card": card[0],
            "fingers": 2 * FINGER_BYTES * BITS_8N1 / SERIAL["finger"],
            "signature": signature_wire(demo),
        }
    total = sum(wires.values())
    return VisitResult(ready, took, total, took / total, dict(visit.steps), wires)


def card_wire(demo: Demo) -> float:
    """What the commands of the last reading take on the wire, from the emulated reader's own log."""
    layout = demo.world.layout
    pace = Pace(load_card(layout.cards / demo.visits[0].citizen.key).atr)
    entries: list[Any] = ask(layout.run / "reader.sock", do="log")["log"]
    return sum(pace.seconds(HEADER_BYTES + int(length) + STATUS_BYTES) for _, length, _ in entries)


def signature_wire(demo: Demo) -> float:
    """From the first to the last byte of the same signature, read off the line as fast as it comes."""
    run = demo.world.layout.run
    demo.hands.do_not_sign()
    handle = os.open(run / "signpad", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(handle)
        demo.hands.sign()
        first = last = 0.0
        deadline = time.monotonic() + LONGEST_SIGNATURE_S
        while time.monotonic() < deadline and not (last and time.monotonic() - last > SILENT_S):
            if select.select([handle], [], [], 0.02)[0] and os.read(handle, 4096):
                last = time.monotonic()
                first = first or last
    finally:
        os.close(handle)
    return last - first


def ask(path: Path, **wish: Any) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(str(path))
        peer.sendall(json.dumps(wish).encode() + b"\n")
        with peer.makefile("rb") as lines:
            answer: dict[str, Any] = json.loads(lines.readline())
    return answer
