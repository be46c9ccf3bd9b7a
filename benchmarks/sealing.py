"""Sealing and durably storing an application, against the bare durable write of the same bytes, and peers.

Counted from the last capture kept until the application is on disk and nobody can read its captures any more:
captures read from the vault and decrypted, digested, sealed to two post-quantum recipients in three groups,
signed twice, the packet written and flushed, its row and the end of the visit's key in one transaction, the
slot overwritten. File keys are wrapped before the first capture, as the kit does it; `wrapped late` is the
same without, as after a restart. The bare write is a new file, fsync, rename and fsync of the folder. Peers
do less than ours (benchmarks/peers.py).
"""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from benchmarks.peers import peers, write_durably
from benchmarks.traced import Traced, trace
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
OURS = ("ours", "wrapped late")


@dataclass(frozen=True)
class SealingResult:
    """Medians in milliseconds; `ratios` are medians of each round's own ratio to the bare write."""

    bytes: int
    rounds: int
    ms: Mapping[str, float]
    cpu_ms: float
    ratios: Mapping[str, float]
    traced: Traced | None


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

    def capture(self, size: int, content: Callable[[int], bytes] = os.urandom) -> str:
        """A visit of so many bytes, captured and reviewed, the log as short as a kit's is by then."""
        visit_id = new_ulid()
        with self.vault.database.transaction() as tx:
            self.vault.new_visit_key(tx, visit_id)
            for name, (_, share) in SHARES.items():
                self.vault.put(tx, visit_id, name, "photo", content(int(size * share)))
        self.vault.database.settle()
        with self.vault.database.transaction() as tx:  # the review is a fact of its own, and small
            self.vault.put(tx, visit_id, "reviewed", "photo", b"nl")
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
    seconds: dict[str, list[float]] = {name: [] for name in (*OURS, "after", *others)}
    cpu = []
    for turn in range(rounds):
        for name in [*OURS, *others] if turn % 2 else [*others, *OURS]:
            visit_id = kit.capture(size) if name in OURS else ""
            keys = kit.wrap() if name == "ours" else None
            began, busy = time.perf_counter(), time.process_time()
            if name in OURS:
                kit.seal(visit_id, keys)
            else:
                others[name]()
            seconds[name].append(time.perf_counter() - began)
            if name == "ours":
                cpu.append(time.process_time() - busy)
                began = time.perf_counter()
                kit.settle()
                seconds["after"].append(time.perf_counter() - began)
        kit.settle()
    traced = trace(folder / "counted", size)
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
        traced=traced,
    )


def say(results: list[SealingResult]) -> None:
    for result in results:
        print(f"seal and store an application of {result.bytes:,} bytes (medians of {result.rounds})")
        for name, value in result.ms.items():
            times = f"{result.ratios[name]:>8.2f} times the bare write" if name in result.ratios else ""
            print(f"  {name:<44}{value:>9.2f} ms{times}")
        print(f"  {'processor time of ours':<44}{result.cpu_ms:>9.2f} ms")
        if result.traced is not None:
            found = result.traced
            print(f"  {'flushes until kept, and after':<44}{found.flushes:>6}, {found.flushes_after}")
            print(f"  {'bytes of captures written readable':<44}{found.plaintext:>6} of {found.canaries}")
