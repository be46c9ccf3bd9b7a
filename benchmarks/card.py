"""A whole card read and judged, against the same commands sent bare: as fast as the line goes, and paced.

The floor is every command of that very read once more, over the same connection, answers thrown away: what is
above it is ours (transactions, threads, putting files together, the signatures). The least number of commands
is one SELECT a file and as many READs of 256 bytes as its bytes need; what we send above that is the price
of not knowing how long a file is.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from device.drivers.eid import pcsc
from device.drivers.eid.der import BadDer, total_length
from device.drivers.eid.driver import PcscReader, open_reader
from device.drivers.eid.files import ORDER
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import load_trust
from device.emulators.control import ask
from device.emulators.eid.maker import make_card
from device.emulators.eid.pki import Pki
from device.emulators.eid.spec import Generation, Spec
from device.ports import Capture

GENERATIONS: tuple[Generation, ...] = ("1.8", "1.7-rsa")
ROUNDS = {False: 30, True: 4}  # un-paced, paced
LONGEST_READ = 256
BESIDE_FILES = {"1.8": 3, "1.7-rsa": 1}  # GET CARD DATA; the proof and its GET RESPONSE


@dataclass(frozen=True)
class CardResult:
    """Medians in milliseconds over `rounds`; `commands` were sent where `least` would carry `bytes`."""

    generation: str
    paced: bool
    rounds: int
    read_ms: float
    bare_ms: float
    ratio: float
    commands: int
    least: int
    bytes: int


def measure(folder: Path) -> list[CardResult]:
    """All cards, un-paced and paced, in a reader of their own; `folder` is short, since sockets lie in it."""
    pki = Pki(folder / "pki")
    cards = {}
    for generation in GENERATIONS:
        cards[generation] = folder / generation
        make_card(Spec(generation=generation), pki, folder).write(cards[generation])
    with reader(folder / "run") as control:
        driver = open_reader(Settings(), load_trust(folder / "pki" / "trust"))
        try:
            return [
                _measured(driver, control, generation, card, paced)
                for generation, card in cards.items()
                for paced in (False, True)
            ]
        finally:
            driver.close()


@contextmanager
def reader(run: Path) -> Iterator[Path]:
    """The virtual reader as a process; its control socket. This process then speaks to its pcscd."""
    program = [sys.executable, "-m", "device.emulators", "reader", "--run", str(run), "--die-with-parent"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        with patch.dict(os.environ, PCSCLITE_CSOCK_NAME=ready["socket"]):
            yield Path(ready["control"])
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _measured(
    driver: PcscReader, control: Path, generation: Generation, card: Path, paced: bool
) -> CardResult:
    ask(control, do="insert", card=str(card), slot=0, paced=paced)
    try:
        while driver.presence() != "card":
            time.sleep(0.02)
        commands = _commands_of_a_read(driver)
        reads, bare = [], []
        for _ in range(ROUNDS[paced]):
            began = time.perf_counter()
            read(driver)
            reads.append(time.perf_counter() - began)
            bare.append(_bare(commands))
    finally:
        ask(control, do="remove", slot=0)
        while driver.presence() == "card":
            time.sleep(0.02)
    lengths = _lengths(card)
    return CardResult(
        generation=generation,
        paced=paced,
        rounds=ROUNDS[paced],
        read_ms=1000 * statistics.median(reads),
        bare_ms=1000 * statistics.median(bare),
        ratio=statistics.median(reads) / statistics.median(bare),
        commands=len(commands),
        least=BESIDE_FILES[generation] + sum(1 + -(-length // LONGEST_READ) for length in lengths),
        bytes=sum(lengths),
    )


def read(driver: PcscReader) -> None:
    reading = driver.read(Capture(60.0, lambda share, code: None, threading.Event()))
    assert reading.verdict == "verified"


def _commands_of_a_read(driver: PcscReader) -> list[bytes]:
    commands: list[bytes] = []
    transmit = pcsc.Connection.transmit

    def noting(self: pcsc.Connection, command: bytearray) -> bytes:
        commands.append(bytes(command))
        return transmit(self, command)

    with patch.object(pcsc.Connection, "transmit", noting):
        read(driver)
    return commands


def _bare(commands: list[bytes]) -> float:
    """Seconds for the same commands, connected before and judged by nobody."""
    with pcsc.Context() as context:
        slot = next(slot for slot in context.slots() if slot.present)
        connection = context.connect(slot.name)
        try:
            began = time.perf_counter()
            for command in commands:
                connection.transmit(bytearray(command))
            return time.perf_counter() - began
        finally:
            connection.disconnect()


def _lengths(card: Path) -> list[int]:
    """Bytes of each file that have to be read; a file with padding ends where its content does."""
    lengths = []
    for file in ORDER:
        path = card / f"{file.path[2:].hex().upper()}.bin"
        data = path.read_bytes() if path.exists() else b""
        try:
            lengths.append((total_length(data[:8]) or len(data)) if file.der else len(data))
        except BadDer:
            lengths.append(len(data))
    return lengths


def say(results: list[CardResult]) -> None:
    print("read and judge a whole card, against its commands sent bare")
    for result in results:
        pace = "as slow as a real card" if result.paced else "un-paced"
        print(
            f"  {result.generation:<8}{pace:<24}{result.read_ms:>9.1f} ms{result.bare_ms:>9.1f} ms bare"
            f"{result.ratio:>7.2f} times{result.commands:>5} commands, least {result.least} for "
            f"{result.bytes:,} bytes"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tl-") as own:
        say(measure(Path(own)))
