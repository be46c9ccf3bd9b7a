"""How tests ask a driver: a capture that remembers its progress."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device.errors import Code, KitError
from device.ports import Capture


@dataclass
class Asked:
    """A capture in the making: `capture` goes to the driver, `told` is the progress it made."""

    deadline_s: float = 8.0
    cancel: threading.Event = field(default_factory=threading.Event)
    told: list[tuple[float, str]] = field(default_factory=list)

    @property
    def capture(self) -> Capture:
        return Capture(self.deadline_s, lambda share, code: self.told.append((share, code)), self.cancel)

    @property
    def codes(self) -> list[str]:
        """The codes told, each once in a row."""
        return [code for n, (_, code) in enumerate(self.told) if n == 0 or self.told[n - 1][1] != code]


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def fails(code: Code) -> pytest.RaisesExc[KitError]:
    return pytest.RaisesExc(KitError, check=lambda error: error.code is code)
