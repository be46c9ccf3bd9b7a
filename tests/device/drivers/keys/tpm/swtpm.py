"""A software TPM for tests: swtpm on a socket in a folder of its own, killed and started again at will."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

from device.drivers.keys.tpm.chip import Chip
from device.drivers.keys.tpm.source import TpmKeySource, make

PATIENCE_S = 20.0
_FLAGS = ("--flags", "not-need-init,startup-clear", "--seccomp", "action=none")


class Swtpm:
    """`folder` is what the chip remembers; its socket lies beside it. A copy of neither is another TPM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "tpm.sock"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *server: str) -> None:
        """`server` in place of the socket: TCP for the tools of others."""
        self.socket.unlink(missing_ok=True)
        where = server or ("--server", f"type=unixio,path={self.socket}")
        program = shutil.which("swtpm") or "/usr/bin/swtpm"
        self._process = subprocess.Popen(
            [program, "socket", "--tpm2", "--tpmstate", f"dir={self.folder}", *where, *_FLAGS],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + PATIENCE_S
        while not server and not self._listens():
            assert self._process.poll() is None, "swtpm ended"
            assert time.monotonic() < end, "swtpm does not start"
            time.sleep(0.005)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def cut(self) -> None:
        """SIGKILL: the power is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def cut_and_start(self) -> None:
        self.cut()
        self.start()

    @property
    def chip(self) -> Chip:
        return Chip(self.socket)

    def found(self, path: Path, tries: int = 5) -> TpmKeySource:
        """Set up for a kit; what it has there is written to `path`."""
        path.write_bytes(make(self.chip))
        return TpmKeySource(self.chip, path, tries)
