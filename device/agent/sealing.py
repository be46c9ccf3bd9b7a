"""Sealing: first a dry run before anyone is bothered, at the end the real thing, once and for good."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.digests import quicker
from device.agent.drafting import Draft, Piece, draft
from device.agent.newest import Newest
from device.agent.recipients import Recipients
from device.agent.records import REQUEST, only, unpack
from device.agent.visit import Visit, named, next_step
from device.errors import Code, KitError, Remedy
from device.ports import Clock
from device.vault.quota import check_room
from device.vault.store import OpenVault
from protocol.bag import BagVisit
from protocol.catalogue import Entry
from protocol.identity import BadIdentity, Role, check_use, role_of
from protocol.ids import new_ulid
from protocol.instant import read_instant, write_instant
from protocol.recapture import Supplements
from protocol.sealed import packet
from protocol.sealed.manifest import GROUPS, Content, Core, Legal, group_of
from protocol.sealed.packet import BadPacket, Keys, Part, Prepared, Signer, Sink, Written
from protocol.sealed.recipients import RecipientList
from protocol.sealed.webauthn import Assertion

LONGEST_VISIT = timedelta(hours=4)
"""What a visit that begins now needs must hold so long: recipient list and certificates."""

_DUMMY = {  # a part in every group but that of captures, larger than it is
    "identity.json": ("application/json", 4_096),
    "evidence-dry-run.json": ("application/json", 4_096),
    "application.json": ("application/json", 16_384),
}
_CAPTURE = {  # by part, larger than a capture is
    "photo": ("photo.jpg", "image/jpeg", 1_048_576),
    "fingers": ("finger-right-index.png", "image/png", 1_048_576),
    "signature": ("signature.png", "image/png", 1_048_576),
}
TEST_RECIPIENTS = "test-recipients"


@dataclass
class KitSigner:
    """The kit's name and its signing key with its certificate: another one after a renewal."""

    kit_id: str
    signer: Signer = field(repr=False)

    @property
    def serial(self) -> str:
        return format(self.signer.chain[0].serial_number, "x")

    @property
    def until(self) -> datetime:
        return self.signer.chain[0].not_valid_after_utc


def load_signer(kit_id: str, certificate: Path, key: Path | ec.EllipticCurvePrivateKey) -> KitSigner:
    """KitError bad-config unless these are the kit's own signing certificate (leaf first) and its key, in a
    file or elsewhere."""
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), None) if isinstance(key, Path) else key
        check_use(chain[0], Role.KIT_SIGN)
        named = role_of(chain[0])
    except (OSError, ValueError, TypeError, BadIdentity) as problem:
        detail = f"signing certificate or key: {type(problem).__name__}"
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail) from problem
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or named != (Role.KIT_SIGN, kit_id):
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "signing certificate is not this kit's")
    if secret.public_key() != chain[0].public_key():
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, "signing key is not that of its certificate")
    return KitSigner(kit_id, Signer(secret, tuple(chain)))


class Sealer:
    def __init__(self, kit: KitSigner, recipients: Recipients, data: Path, clock: Clock) -> None:
        """`data` is the folder whose disk must have room."""
        self._kit = kit
        self._recipients = recipients
        self._data = data
        self._clock = clock
        self._newest: Newest | None = None
        self._keys: Keys | None = None  # wrapped at a dry run, for the next packet
        self._draft: Draft | None = None
        self._by = quicker()

    def dry_run(self, request: BagVisit, entry: Entry, vault: OpenVault) -> None:
        """Seal a dummy of this visit, as large as a visit gets, to the real recipients with the real keys, in
        memory, and throw it away: what cannot be sealed is known before anyone is bothered. What sealing
        needs must last for the whole visit.

        KitError recipients-expired, recipients-untrusted, recapture-late, disk-full, cannot-seal."""
        check_room(self._data)
        name, kind, size = _CAPTURE[next(iter(only(request)), "photo")]
        sizes = {**_DUMMY, name: (kind, size)}
        dummy = tuple(Part(each, sizes[each][0], os.urandom(sizes[each][1])) for each in _in_order(sizes))
        about = packet.contents_of(dummy)
        held, core, officer = self._core(new_ulid(), about, (), request, entry, vault, LONGEST_VISIT)
        with _refused():
            packet.seal(dummy, core, held.recipients, self._kit.signer, officer)
            self._keys = Keys(held.suite, held.recipients, GROUPS)

    def rehearse(
        self, visit: Visit, request: BagVisit, entry: Entry, vault: OpenVault, example_picture: bool
    ) -> None:
        """In a quiet moment: of a visit that can be sealed now, what sealing needs and can be had before.
        What stands in the way is told when it is sealed."""
        if next_step(visit, entry.service) != "seal":
            self.forget()
            return
        with suppress(KitError):
            self._drafted(visit, request, entry, vault, example_picture)
            held = self._list(entry.service.service, self._clock.now(), vault)
            if self._keys is None or not self._keys.fit(held.suite, held.recipients):
                self._keys = Keys(held.suite, held.recipients, GROUPS)

    def forget(self) -> None:
        """What was rehearsed of a visit."""
        self._draft = None

    def write(
        self,
        sink: Sink,
        packet_id: str,
        visit: Visit,
        request: BagVisit,
        entry: Entry,
        vault: OpenVault,
        example_picture: bool,
    ) -> Written:
        """The packet of a visit whose every step is done, into `sink`. KitError as above."""
        drawn, content = self._drafted(visit, request, entry, vault, example_picture)
        held, core, officer = self._core(packet_id, drawn.contents, drawn.flags, request, entry, vault)
        keys, self._keys = self._keys, None
        if keys is not None and not keys.fit(held.suite, held.recipients):
            keys = None  # another list has come since
        with _refused():
            return packet.write(
                sink, content, core, held.recipients, self._kit.signer, officer, keys, self._by
            )

    def prepare(
        self,
        packet_id: str,
        visit: Visit,
        request: BagVisit,
        entry: Entry,
        vault: OpenVault,
        example_picture: bool,
        chain: Sequence[x509.Certificate],
    ) -> Prepared:
        """The packet of a visit whose every step is done, for the officer's security key with these
        certificates to sign. KitError as above."""
        drawn, content = self._drafted(visit, request, entry, vault, example_picture)
        about = (packet_id, drawn.contents, drawn.flags)
        held, core, _ = self._core(*about, request, entry, vault, key=chain)
        with _refused():
            return packet.prepare(content, core, held.recipients, by=self._by)

    def finish(self, sink: Sink, prepared: Prepared, assertion: Assertion) -> Written:
        """What `prepare` made, with the key's signature, into `sink`. KitError cannot-seal."""
        with _refused():
            return prepared.write(sink, self._kit.signer, assertion)

    def _drafted(
        self, visit: Visit, request: BagVisit, entry: Entry, vault: OpenVault, example_picture: bool
    ) -> tuple[Draft, tuple[Piece, ...]]:
        """The draft of this visit, made before or now, and the parts it names. KitError vault-damaged."""
        held = vault.get_many(request.visit_id, named(visit))
        found = self._draft
        if found is None or not found.is_of(visit, request, entry, example_picture):
            found = self._draft = draft(visit, request, entry, example_picture, held)
        return found, found.parts(held)

    def _core(
        self,
        packet_id: str,
        contents: tuple[Content, ...],
        flags: tuple[str, ...],
        request: BagVisit,
        entry: Entry,
        vault: OpenVault,
        ahead: timedelta = timedelta(0),
        key: Sequence[x509.Certificate] = (),
    ) -> tuple[RecipientList, Core, Signer]:
        """To whom, what, and by which officer. `ahead`: for how long all that sealing needs must still be
        valid; `key`: of the security key that signs instead."""
        now = self._clock.now().astimezone(UTC)
        asked = request.supplements
        if asked is not msgspec.UNSET and now >= read_instant(asked.until):
            raise KitError(Code.RECAPTURE_LATE, Remedy.OFFICER, asked.until)
        held = self._list(entry.service.service, now, vault)
        if now + ahead >= read_instant(held.expires):
            raise KitError(Code.RECIPIENTS_EXPIRED, Remedy.WORKSHOP, held.expires)
        officer = vault.signer()
        for leaf in (self._kit.signer.chain[0], (key or officer.chain)[0]):
            begins, ends = _life(leaf)
            if not begins <= now < ends - ahead:
                raise KitError(Code.CANNOT_SEAL, Remedy.WORKSHOP, "a signing certificate is not valid today")
        seq, prev = vault.next_seq()
        retention = entry.service.retention
        core = Core(
            suite=held.suite,
            packet_id=packet_id,
            visit_id=request.visit_id,
            tenant=request.tenant,
            service_id=entry.service.service,
            catalogue=entry.digest,
            kit_id=self._kit.kit_id,
            kit_cert_serial=self._kit.serial,
            officer_id=vault.officer_id,
            officer_signature="webauthn" if key else "pin-key",
            created_utc=write_instant(now),
            seq=seq,
            prev=prev,
            recipients=packet.kids_of(held.recipients),
            contents=contents,
            legal=Legal(
                reason=retention.reason,
                retention_until=(now + timedelta(days=retention.biometric_days_max)).date().isoformat(),
            ),
            flags=tuple(sorted({*flags, *([TEST_RECIPIENTS] if held.test else [])})),
            supplements=_supplements(request),
        )
        return held, core, officer

    def _list(self, service_id: str, now: datetime, vault: OpenVault) -> RecipientList:
        """To whom to seal, on a list no older than any this kit has seen."""
        if self._newest is None or self._newest.database is not vault.database:
            self._newest = Newest(vault.database)
        newest = self._newest
        held = self._recipients.valid(service_id, now, newest.issued(service_id))
        newest.saw(held)
        return held


@contextmanager
def _refused() -> Iterator[None]:
    """A packet that its service would refuse is not made."""
    try:
        yield
    except BadPacket as problem:
        raise KitError(Code.CANNOT_SEAL, Remedy.WORKSHOP, str(problem)) from problem


def _in_order(names: Iterable[str]) -> list[str]:
    """In the order of their groups, as in a manifest."""
    return sorted(names, key=lambda name: GROUPS.index(group_of(name)))


def _supplements(request: BagVisit) -> Supplements | msgspec.UnsetType:
    asked = request.supplements
    if asked is msgspec.UNSET:
        return msgspec.UNSET
    return Supplements(packet_id=asked.packet_id, parts=asked.parts)


@lru_cache(maxsize=8)
def _life(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """From when and until when it is valid: worked out anew at every asking, by the library."""
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def read_request(visit_id: str, vault: OpenVault) -> BagVisit:
    """The visit as it was asked for, kept when it was opened."""
    return unpack(vault.get(visit_id, REQUEST).data, BagVisit)
