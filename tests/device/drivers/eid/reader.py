"""A virtual card reader as a process of its own, for any test that needs a card in a reader.

    with VirtualReader(folder) as reader:
        reader.insert(card_folder)
        subprocess.run([...], env=reader.environment)

libpcsclite remembers its socket for the life of a process: within one process only one reader can be used,
other readers are for child processes started with their `environment`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from device.emulators.control import ask

SLOT_NAMES = ("Virtual PCD 00 00", "Virtual PCD 00 01")
SECOND_READER = "Second Virtual PCD 00 00"


class VirtualReader:
    """`folder` must be short (a socket's path has at most 107 bytes) and is made when it is not there."""

    def __init__(self, folder: Path) -> None:
        self.control = folder / "control.sock"
        self.socket = folder / "pcscd" / "pcscd.comm"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a client of this reader needs in its environment."""
        return {**os.environ, "PCSCLITE_CSOCK_NAME": str(self.socket)}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "device.emulators", "reader"),
                *("--run", str(self._folder), "--die-with-parent"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, said = self._process.communicate()
            raise RuntimeError(f"no virtual reader: {said.decode().strip()}")
        assert json.loads(line)["ready"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=10)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ask(self, **wish: Any) -> dict[str, Any]:
        """Any request of the control socket; ValueError when refused."""
        return ask(self.control, **wish)

    def insert(
        self, card: Path, slot: int = 0, faults: Sequence[dict[str, Any]] = (), paced: bool = False
    ) -> None:
        ask(self.control, do="insert", card=str(card), slot=slot, faults=list(faults), paced=paced)

    def remove(self, slot: int = 0) -> None:
        ask(self.control, do="remove", slot=slot)

    def state(self) -> dict[str, Any]:
        return ask(self.control, do="state")

    def log(self, slot: int = 0) -> list[tuple[bytes, int, bytes]]:
        """Header, length and status of every command since insertion."""
        entries = ask(self.control, do="log", slot=slot)["log"]
        return [(bytes.fromhex(header), length, bytes.fromhex(status)) for header, length, status in entries]

    def plug(self, *readers: int) -> None:
        """Which readers there are: 0 with slots 0 and 1, 1 with slots 2 and 3, or none."""
        ask(self.control, do="plug", readers=list(readers))

    def daemon(self, state: str) -> None:
        """stop, kill or start pcscd."""
        ask(self.control, do="daemon", state=state)
