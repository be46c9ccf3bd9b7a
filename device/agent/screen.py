"""The newest snapshot, and waiting for a newer one. Written by the desk, read from any thread."""

import threading
from dataclasses import replace

from device.agent.snapshot import Snapshot


class Screen:
    def __init__(self, first: Snapshot) -> None:
        self._snapshot = first
        self._changed = threading.Condition()
        self._closed = False

    def now(self) -> Snapshot:
        return self._snapshot

    def after(self, version: int, seconds: float) -> Snapshot:
        """The first snapshot newer than `version`, or the present one when `seconds` have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._snapshot.version > version, seconds)
            return self._snapshot

    def show(self, snapshot: Snapshot) -> None:
        """Put up what is true now; the same thing twice is shown once."""
        held = self._snapshot
        if replace(snapshot, version=held.version) == held:
            return
        with self._changed:
            self._snapshot = replace(snapshot, version=held.version + 1)
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody who waits go: the agent stops."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
