"""Sealing and durably storing an application, against the bare durable write of the same bytes, and peers.

What the officer waits for: the captures read from the vault and decrypted, sealed to two post-quantum
recipients in three groups, signed twice, the packet stored and the visit's key destroyed in one transaction,
its slot overwritten. The bare write is a new file, fsync, rename and fsync of the folder. Peers do less than
ours: `age` and `openssl cms` encrypt to two recipients and write a file, which is then flushed.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from device.vault.database import Database
from device.vault.store import OpenVault
from protocol.ids import new_ulid
from protocol.sealed import age
from protocol.sealed.manifest import GROUPS, Legal
from protocol.sealed.packet import Core, Keys, Part, Signer, contents_of, kids_of, write
from protocol.sealed.recipients import Recipient
from provisioning.ca import Authority

ROUNDS = 25
SHARES = {  # of the bytes of an application
    "identity.json": ("application/json", 0.01),
    "photo.jpg": ("image/jpeg", 0.55),
    "finger-right-index.png": ("image/png", 0.2),
    "finger-left-index.png": ("image/png", 0.2),
    "signature.png": ("image/png", 0.03),
    "application.json": ("application/json", 0.01),
}
SIZES = (150_000, 2_000_000)


@dataclass(frozen=True)
class SealingResult:
    """Medians in milliseconds; `ratios` are medians of each round's own ratio to the bare write."""

    bytes: int
    rounds: int
    ms: Mapping[str, float]
    cpu_ms: float
    ratios: Mapping[str, float]
    flushes: int | None  # until the officer is told
    flushes_after: int | None  # and in the quiet moment that follows


class Kit:
    """A kit's keys, store and packet counter in `folder`, as far as sealing needs them."""

    def __init__(self, folder: Path) -> None:
        authority = Authority.create(folder / "ca", "Benchmark")
        kit, officer = authority.issue("kit-sign", "kit-bench"), authority.issue("officer", "an.bench")
        self.kit = Signer(kit.key, x509.load_pem_x509_certificates(kit.chain_pem))
        self.officer = Signer(officer.key, x509.load_pem_x509_certificates(officer.chain_pem))
        self.serial = f"{kit.certificate.serial_number:x}"
        self.recipients = [Recipient(kid=f"key-{n}", age1pq=age.generate()[1]) for n in (1, 2)]
        self.vault = OpenVault(Database(folder / "vault.db"), os.urandom(32))

    def capture(self, size: int) -> str:
        """A visit of so many bytes, captured, the log as empty as a kit's is by then."""
        visit_id = new_ulid()
        with self.vault.database.transaction() as tx:
            self.vault.new_visit_key(tx, visit_id)
            for name, (_, share) in SHARES.items():
                self.vault.put(tx, visit_id, name, "photo", os.urandom(int(size * share)))
        self.vault.database.settle()
        return visit_id

    def wrap(self) -> Keys:
        """The keys of a packet to come, as the kit makes them before the first capture."""
        return Keys("age1pq", self.recipients, GROUPS)

    def seal(self, visit_id: str, keys: Keys | None = None) -> None:
        """From the moment all is captured until it is on disk."""
        kept = self.vault.get_many(visit_id, list(SHARES))
        parts = [Part(name, kind, kept[name].data) for name, (kind, _) in SHARES.items()]
        core = self._core(visit_id, parts)
        with self.vault.create(core.packet_id) as file:
            written = write(file, parts, core, self.recipients, self.kit, self.officer, keys)
            with self.vault.database.transaction() as tx:
                self.vault.put_sealed(tx, core.packet_id, visit_id, written)

    def settle(self) -> None:
        self.vault.database.settle()

    def _core(self, visit_id: str, parts: list[Part]) -> Core:
        now = datetime.now(UTC)
        seq, prev = self.vault.next_seq()
        return Core(
            packet_id=new_ulid(),
            visit_id=visit_id,
            tenant="0999000162",
            service_id="be.eid.application",
            catalogue="0" * 64,
            kit_id="kit-bench",
            kit_cert_serial=self.serial,
            officer_id="an.bench",
            created_utc=f"{now:%Y-%m-%dT%H:%M:%SZ}",
            seq=seq,
            prev=prev,
            recipients=kids_of(self.recipients),
            contents=contents_of(parts),
            legal=Legal(reason="eid", retention_until=(now + timedelta(days=90)).date().isoformat()),
        )


def measure(folder: Path, size: int, rounds: int = ROUNDS) -> SealingResult:
    """All of them, turn about and in changing order, in `folder`, which lies on the disk that matters."""
    folder.mkdir()
    kit = Kit(folder)
    plain = os.urandom(size)
    others: dict[str, Callable[[], None]] = {"bare": lambda: write_durably(folder / "bare", plain)}
    others |= peers(folder, plain)
    seconds: dict[str, list[float]] = {name: [] for name in ("ours", "after", *others)}
    cpu = []
    for turn in range(rounds):
        visit_id = kit.capture(size)
        names = ["ours", *others] if turn % 2 else [*others, "ours"]
        for name in names:
            began, busy = time.perf_counter(), time.process_time()
            if name == "ours":
                kit.seal(visit_id)
                cpu.append(time.process_time() - busy)
            else:
                others[name]()
            seconds[name].append(time.perf_counter() - began)
        began = time.perf_counter()
        kit.settle()
        seconds["after"].append(time.perf_counter() - began)
    flushes = count_flushes(folder / "counted", size)
    return SealingResult(
        bytes=size,
        rounds=rounds,
        ms={name: 1000 * statistics.median(each) for name, each in seconds.items()},
        cpu_ms=1000 * statistics.median(cpu),
        ratios={
            name: statistics.median(a / b for a, b in zip(each, seconds["bare"], strict=True))
            for name, each in seconds.items()
            if name not in ("bare", "after")
        },
        flushes=flushes[0] if flushes else None,
        flushes_after=flushes[1] if flushes else None,
    )


def write_durably(path: Path, data: bytes) -> None:
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb", buffering=0) as file:
        file.write(data)
        os.fsync(file.fileno())
    unfinished.rename(path)
    flush(path.parent)


def flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def peers(folder: Path, plain: bytes) -> dict[str, Callable[[], None]]:
    """Programs of Debian that are here, each with a flush of its file and of the folder."""
    found: dict[str, Callable[[], None]] = {}
    if shutil.which("age"):
        made = [subprocess.run(["age-keygen"], capture_output=True, check=True).stdout for _ in range(2)]
        to = [line.split()[-1].decode() for one in made for line in one.splitlines() if b"public" in line]
        command = ["age", "-r", to[0], "-r", to[1], "-o", str(folder / "peer.age")]
        found["age"] = lambda: run_and_flush(command, plain, folder / "peer.age")
    if shutil.which("openssl"):
        for name in ("one", "two"):
            made_by = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            made_by += ["-nodes", "-keyout", os.devnull, "-subj", f"/CN={name}", "-out", str(folder / name)]
            subprocess.run(made_by, check=True, capture_output=True)
        cms = ["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm"]
        cms += ["-out", str(folder / "peer.cms"), str(folder / "one"), str(folder / "two")]
        found["openssl cms"] = lambda: run_and_flush(cms, plain, folder / "peer.cms")
    return found


def run_and_flush(command: list[str], plain: bytes, path: Path) -> None:
    subprocess.run(command, input=plain, check=True, capture_output=True)
    flush(path)
    flush(path.parent)


MARKS = (b"seal begins\n", b"seal ends\n", b"settled\n")


def count_flushes(folder: Path, size: int) -> tuple[int, int] | None:
    """How often the kernel is asked to flush until an application is kept, and after. None without strace."""
    if not shutil.which("strace"):
        return None
    log = folder.with_suffix(".strace")
    tracer = ["strace", "-f", "-s", "20", "-e", "trace=fsync,fdatasync,write", "-o", str(log)]
    program = [sys.executable, "-m", "benchmarks.sealing", str(folder), str(size)]
    done = subprocess.run([*tracer, *program], capture_output=True, check=False)
    if done.returncode != 0:
        return None
    text = log.read_text()
    begin, end, settled = (text.index(mark.decode().strip()) for mark in MARKS)
    return sum(text.count(call, begin, end) for call in ("fsync(", "fdatasync(")), sum(
        text.count(call, end, settled) for call in ("fsync(", "fdatasync(")
    )


def marked(folder: Path, size: int) -> None:
    """One application, with marks that a tracer sees."""
    folder.mkdir()
    kit = Kit(folder)
    for _ in range(2):  # the second of a kit is like all that follow
        visit_id = kit.capture(size)
    os.write(2, MARKS[0])
    kit.seal(visit_id)
    os.write(2, MARKS[1])
    kit.settle()
    os.write(2, MARKS[2])


def say(results: list[SealingResult]) -> None:
    for result in results:
        print(f"seal and store an application of {result.bytes:,} bytes (medians of {result.rounds})")
        for name, value in result.ms.items():
            times = f"{result.ratios[name]:>8.2f} times the bare write" if name in result.ratios else ""
            print(f"  {name:<44}{value:>9.2f} ms{times}")
        print(f"  {'processor time of ours':<44}{result.cpu_ms:>9.2f} ms")
        print(f"  {'flushes until kept, and after':<44}{result.flushes!s:>6}, {result.flushes_after}")


if __name__ == "__main__":
    marked(Path(sys.argv[1]), int(sys.argv[2]))
