"""All that the desk works with, built once by the program and never looked up later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent import landmarks
from device.agent.captures import DEADLINE_S, Openers, What
from device.agent.landmarks import Passed
from device.agent.recipients import Recipients
from device.agent.resigning import Signing
from device.agent.sealing import KitSigner
from device.ports import Clock, KeySource
from device.spool.spool import Spool
from device.spool.sticks import Sticks
from device.vault.recovery import Administrator
from protocol.catalogue import Entry


@dataclass(frozen=True)
class Setup:
    """`data` is the folder of the vault; `spool` belongs to whoever made it."""

    kit: KitSigner
    data: Path
    spool: Spool
    key_source: KeySource
    recipients: Recipients
    command_keys: Mapping[str, ec.EllipticCurvePublicKey]
    catalogue: Mapping[str, Entry]
    openers: Openers
    clock: Clock
    sticks: Sticks
    roots: Path  # PEM, under which kits and officers sign; read when a stick is taken in
    sys: Path = Path("/sys")
    health_every_s: float = 60
    idle_lock_s: float = 300
    lease_wanted: bool = False  # whether the store opens only on the fleet's lease
    administrator: Administrator | None = None  # who may make unlock codes for officers
    officer_roots: Sequence[x509.Certificate] = ()  # what certificates of officers let in from afar lead to
    signing: Signing | None = None  # where the signing certificate lies and is renewed; None: it stays
    drafts: timedelta = timedelta(days=14)  # an unfinished visit may stay so long
    deadlines: Mapping[What, float] = field(default_factory=lambda: DEADLINE_S)
    passed: Passed = landmarks.nothing

    @property
    def vault(self) -> Path:
        return self.data / "vault.db"
