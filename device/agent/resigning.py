"""The kit's signing certificate, renewed in time: asked for through the spool, tried, taken into use.

It is time by what the fleet last said the time is; the kit's own clock has no say in it. The old certificate
stays in use until the new one has signed and been verified, and never changes in the middle of a visit.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

import msgspec
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Meta

from device.agent.sealing import KitSigner
from device.ports import Clock
from device.spool.credentials import Credentials
from device.spool.held import read_newest
from device.spool.layout import Layout
from device.spool.renewals import RenewalDesk
from device.spool.spool import Spool
from protocol import renewal, roots
from protocol.chain import BadChain, check_chain
from protocol.renewal import BadRenewal, RoleName
from protocol.sealed.packet import Signer

ROLE: RoleName = "kit-sign"
AGAIN_S = 3600.0
log = structlog.get_logger()


class _Granted(msgspec.Struct, frozen=True):
    """`chain` and `authorities` are PEM."""

    chain: Annotated[str, Meta(max_length=16_384)]
    authorities: Annotated[str, Meta(max_length=65_536)]


@dataclass(frozen=True)
class Signing:
    """Where the signing certificate lies, and the roots it must lead to. `key`: the signing key where it
    lies elsewhere (in a TPM) and stays; None where a fresh one is made with every certificate."""

    held: Credentials
    key: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)


class Resigning:
    """All calls on the desk's thread."""

    def __init__(self, kit: KitSigner, signing: Signing | None, spool: Spool, clock: Clock) -> None:
        self._kit, self._signing, self._spool, self._clock = kit, signing, spool, clock
        self._desk, self._at = RenewalDesk(spool.root), Layout(spool.root)
        self._ask_at = clock.monotonic()

    def renew(self) -> None:
        """The fleet commands it: both of the kit's certificates, however young. KitError disk-full."""
        if self._signing is not None:
            self._desk.order()
            self._ask_at = self._clock.monotonic()
        self._spool.renew_now()

    def look(self, in_visit: bool) -> None:
        """Take what came, tell the fleet, ask when it is time."""
        signing = self._signing
        if signing is None:
            return
        try:
            if not signing.held.is_told():
                self._tell(signing)
            elif not in_visit and (answer := self._desk.granted()) is not None:
                self._take(signing, answer)
                self._desk.drop_granted()
            else:
                self._ask(signing)
        except (BadRenewal, BadChain, ValueError, OSError, msgspec.DecodeError) as problem:
            log.warning("certificate-not-taken", problem=type(problem).__name__)
            self._desk.drop_granted()
            self._ask_at = self._clock.monotonic() + AGAIN_S

    def _ask(self, signing: Signing) -> None:
        now = self._clock.monotonic()
        if now < self._ask_at or self._desk.is_asking() or self._desk.granted() is not None:
            return
        current = self._kit.signer
        if not self._desk.is_ordered() and read_newest(self._at) < renewal.due(current.chain[0]):
            return
        self._ask_at = now + AGAIN_S
        new = signing.key or signing.held.begin(fresh=True)
        self._desk.ask(renewal.sign_asked(ROLE, new, current.key, current.chain))
        self._spool.ring_uplink()
        log.info("certificate-asked", role=ROLE)

    def _take(self, signing: Signing, answer: bytes) -> None:
        granted = msgspec.json.decode(answer, type=_Granted)
        new = signing.key or signing.held.begin(fresh=True)
        chain = x509.load_pem_x509_certificates(granted.chain.encode())
        renewal.check_granted(chain, ROLE, self._kit.kit_id, new.public_key())
        before = signing.held.present().authorities.read_bytes()
        trusted = roots.accept(roots.read(before), roots.read(granted.authorities.encode()))
        began = chain[0].not_valid_before_utc
        check_chain(chain, trusted, began)
        # The trial: what it signs is verified as the fleet would, before the old one is given up.
        renewal.verify_done(renewal.sign_done(ROLE, new, chain), trusted, began + timedelta(hours=1))
        bundle = b"".join(root.public_bytes(Encoding.PEM) for root in trusted)
        signing.held.grant(granted.chain.encode(), bundle)
        signing.held.promote()
        self._kit.signer = Signer(new, tuple(chain))
        self._desk.carried_out()
        log.info("certificate-in-use", role=ROLE, until=chain[0].not_valid_after_utc.isoformat())

    def _tell(self, signing: Signing) -> None:
        """Once it lies in the spool, the uplink brings it."""
        current = self._kit.signer
        self._desk.tell(renewal.sign_done(ROLE, current.key, current.chain))
        signing.held.note_told()
        self._spool.ring_uplink()
