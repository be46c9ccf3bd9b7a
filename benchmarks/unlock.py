"""Unlocking the store, against the bare derivation of the PIN: what key source, tries and vault add to it.

The derivation (Argon2id, 64 MiB, three passes) is slow on purpose; everything around it should not be felt.
With a TPM it is swtpm over a socket: the commands and cryptography of ours are in it, the slowness of a real
chip is not.
"""

import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device.agent.clock import SystemClock
from device.agent.founding import NewOfficer, found
from device.drivers.keys.tpm.chip import Chip
from device.drivers.keys.tpm.source import TpmKeySource, make
from device.ports import KeySource
from device.vault import keys
from device.vault.database import Database
from device.vault.gate import Gate
from device.vault.keysource import FileKeySource
from provisioning.ca import Authority
from provisioning.certificates import key_pem

ROUNDS = 15
OFFICER, PIN = "an.bench", "482915"
PATIENCE_S = 20.0


@dataclass(frozen=True)
class UnlockResult:
    """Medians in milliseconds, and how many times the bare derivation each takes; measured in turns."""

    rounds: int
    derivation_ms: float
    file_ms: float
    tpm_ms: float
    file_ratio: float
    tpm_ratio: float


def measure(folder: Path) -> UnlockResult:
    """RuntimeError when swtpm is missing."""
    with _swtpm(folder / "tpm") as chip:
        (folder / "tpm.keys").write_bytes(make(chip))
        leaf = Authority.create(folder / "ca", "Benchmark").issue("officer", OFFICER)
        officer = NewOfficer(OFFICER, "An", PIN, key_pem(leaf.key).decode(), leaf.chain_pem.decode())
        file = _gate(folder / "file.db", FileKeySource.create(folder / "secret"), officer)
        tpm = _gate(folder / "tpm.db", TpmKeySource(chip, folder / "tpm.keys"), officer)
        salt = bytes(keys.SALT)
        times: tuple[list[float], list[float], list[float]] = ([], [], [])
        for _ in range(ROUNDS):
            times[0].append(_ms(lambda: keys.stretch(PIN, salt)))
            times[1].append(_ms(lambda: file.unlock(OFFICER, PIN)))
            times[2].append(_ms(lambda: tpm.unlock(OFFICER, PIN)))
    bare, with_file, with_tpm = (statistics.median(each) for each in times)
    return UnlockResult(ROUNDS, bare, with_file, with_tpm, with_file / bare, with_tpm / bare)


def say(told: UnlockResult) -> None:
    print(f"unlock the store with a PIN (median of {told.rounds})")
    for name, value, unit in (
        ("the bare derivation of the PIN", told.derivation_ms, "ms"),
        ("unlock, keys in a file", told.file_ms, "ms"),
        ("unlock, keys in a software TPM", told.tpm_ms, "ms"),
        ("ratio, file", told.file_ratio, "times"),
        ("ratio, TPM", told.tpm_ratio, "times"),
    ):
        print(f"  {name:<44}{value:>9.2f} {unit}")


def _gate(path: Path, source: KeySource, officer: NewOfficer) -> Gate:
    found(path, source, SystemClock(), [officer])
    return Gate(Database(path), source, SystemClock())


def _ms(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return (time.perf_counter() - began) * 1000


@contextmanager
def _swtpm(folder: Path) -> Iterator[Chip]:
    program = shutil.which("swtpm")
    if program is None:
        raise RuntimeError("swtpm is missing: apt-get install swtpm")
    folder.mkdir(mode=0o700)
    where = folder / "tpm.sock"
    state = ["--tpmstate", f"dir={folder}", "--server", f"type=unixio,path={where}"]
    running = subprocess.Popen(
        [program, "socket", "--tpm2", *state, "--flags", "not-need-init,startup-clear"],
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + PATIENCE_S
        while not _listens(where):
            if time.monotonic() > until:
                raise RuntimeError("swtpm does not start")
            time.sleep(0.01)
        yield Chip(where)
    finally:
        running.kill()
        running.wait()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
