"""A whole application for tests: a service with keys, a kit, an officer, parts, and the packet of them."""

from dataclasses import dataclass, field
from typing import Any

from cryptography import x509

from protocol.identity import Role, serial_of
from protocol.ids import new_ulid
from protocol.sealed import age
from protocol.sealed.manifest import FIRST_PREV, Core, Legal
from protocol.sealed.packet import Part, Sealed, Signer, contents_of, kids_of, seal
from protocol.sealed.recipients import Recipient
from tests.protocol.certificates import Holder, authority, leaf

PARTS = (
    Part("identity.json", "application/json", b'{"surname":"Peeters"}'),
    Part("photo.jpg", "image/jpeg", b"\xff\xd8" + bytes(range(256)) * 3),
    Part("finger-right-index.png", "image/png", b""),
)


@dataclass(frozen=True)
class World:
    """Everybody who has a key: one root, a kit CA, an officer CA, a service with a present and a next key."""

    root: Holder
    kit_ca: Holder
    officer_ca: Holder
    kit: Holder
    officer: Holder
    recipients: tuple[Recipient, ...]
    identities: tuple[str, ...] = field(repr=False)

    @property
    def roots(self) -> list[x509.Certificate]:
        return [self.root.certificate]

    @property
    def kit_signer(self) -> Signer:
        return Signer(self.kit.key, [self.kit.certificate, self.kit_ca.certificate])

    @property
    def officer_signer(self) -> Signer:
        return Signer(self.officer.key, [self.officer.certificate, self.officer_ca.certificate])

    def core(self, parts: tuple[Part, ...] = PARTS, **changes: Any) -> Core:
        members: dict[str, Any] = {
            "packet_id": new_ulid(),
            "visit_id": new_ulid(),
            "tenant": "0207530775",
            "service_id": "be.eid.application",
            "catalogue": "c" * 64,
            "kit_id": "kit-brugge-01",
            "kit_cert_serial": serial_of(self.kit.certificate),
            "officer_id": "an.peeters",
            "created_utc": "2026-11-23T09:30:00Z",
            "seq": 1,
            "prev": FIRST_PREV,
            "recipients": kids_of(self.recipients),
            "contents": contents_of(parts),
            "legal": Legal(reason="be.1991-07-19", retention_until="2027-02-21"),
        }
        return Core(**(members | changes))

    def packet(self, parts: tuple[Part, ...] = PARTS, **changes: Any) -> Sealed:
        core = self.core(parts, **changes)
        return seal(parts, core, self.recipients, self.kit_signer, self.officer_signer)


def build_world() -> World:
    root = authority("Thuisloket test root")
    kit_ca, officer_ca = authority("kit CA", root, 0), authority("officer CA", root, 0)
    pairs = [age.generate(), age.generate()]
    return World(
        root,
        kit_ca,
        officer_ca,
        leaf(Role.KIT_SIGN, "kit-brugge-01", kit_ca),
        leaf(Role.OFFICER, "an.peeters", officer_ca),
        tuple(Recipient(kid=f"key-{at}", age1pq=pair[1]) for at, pair in enumerate(pairs)),
        tuple(pair[0] for pair in pairs),
    )


def filled(size, fill):
    """The bytes of a sealed file that has been laid out."""
    space = bytearray(size)
    fill(memoryview(space))
    return bytes(space)
