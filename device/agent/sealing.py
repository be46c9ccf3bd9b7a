"""Sealing: first a dry run before anyone is bothered, at the end the real thing, once and for good."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.digests import quicker
from device.agent.drafting import Draft, draft
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
from protocol.sealed.packet import BadPacket, Keys, Layout, Part, Prepared, Signer, Sink, Written
from protocol.sealed.recipients import RecipientList
from protocol.sealed.suites import AGE
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
        self._seen: RecipientList | None = None  # the list that `_newest` was told of last
        self._keys: Keys | None = None  # wrapped at a dry run, for the next packet
        self._draft: Draft | None = None
        self._laid: _Laid | None = None
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
        held, officer, now = self._judged(request, entry, vault, LONGEST_VISIT)
        core = self._core(new_ulid(), about, (), held, request, entry, vault, now)
        with _refused:
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
        asked = (visit, request, entry, vault, example_picture)
        with suppress(KitError), self._drafted(*asked) as drawn, _refused:
            held, officer, now = self._judged(request, entry, vault)
            if held.suite == AGE:
                self._layout(vault.next_id(), drawn, held, officer, vault, now, write_instant(now))

    def forget(self) -> None:
        """What was rehearsed of a visit."""
        self._draft = self._laid = None

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
        """The packet of a visit whose every step is done, into `sink`. KitError as above, now or when it is
        to be complete."""
        with self._drafted(visit, request, entry, vault, example_picture) as drawn:
            held, officer, now = self._judged(request, entry, vault)
            with _refused:
                if held.suite == AGE:
                    created = write_instant(now)
                    layout = self._layout(packet_id, drawn, held, officer, vault, now, created)
                    self._laid = None  # it serves one packet
                    written = layout.write(sink, created, _retained(now, entry))
                else:
                    about = (drawn.contents, drawn.flags, held, request, entry, vault, now)
                    core = self._core(packet_id, *about)
                    written = packet.write(
                        sink, drawn.pieces, core, held.recipients, self._kit.signer, officer, by=self._by
                    )
        return _told(written)

    def _layout(
        self,
        packet_id: str,
        drawn: Draft,
        held: RecipientList,
        officer: Signer,
        vault: OpenVault,
        now: datetime,
        created: str,
    ) -> Layout:
        """The packet of this draft as it was laid out before, if it would be the same; else laid out now."""
        kit, laid = self._kit.signer, self._laid
        place = packet_id, vault.officer_id
        if laid is not None and laid.drawn is drawn and laid.held is held and laid.place == place:
            layout = laid.layout
            if layout.is_signed_by(kit, officer) and layout.takes(created):
                return layout
        keys, self._keys = self._keys, None
        if keys is not None and not keys.fit(held.suite, held.recipients):
            keys = None  # another list has come since
        about = (drawn.contents, drawn.flags, held, drawn.request, drawn.entry, vault, now)
        core = self._core(packet_id, *about)
        layout = Layout(drawn.pieces, core, held.recipients, kit, officer, keys, self._by)
        self._laid = _Laid(drawn, held, place, layout)
        return layout

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
        with self._drafted(visit, request, entry, vault, example_picture) as drawn:
            held, _, now = self._judged(request, entry, vault, key=chain)
            about = (drawn.contents, drawn.flags, held, request, entry, vault, now)
            core = self._core(packet_id, *about, by="webauthn")
            with _refused:
                return packet.prepare(drawn.pieces, core, held.recipients, by=self._by)

    def finish(self, sink: Sink, prepared: Prepared, assertion: Assertion) -> Written:
        """What `prepare` made, with the key's signature, into `sink`. KitError cannot-seal."""
        with _refused:
            return _told(prepared.write(sink, self._kit.signer, assertion))

    def _drafted(
        self, visit: Visit, request: BagVisit, entry: Entry, vault: OpenVault, example_picture: bool
    ) -> Draft:
        """The draft of this visit, made before or now, with its records open: they are wiped when its `with`
        block is left. KitError vault-damaged."""
        found = self._draft
        known = found is not None and found.is_of(visit, request, entry, example_picture)
        ahead = found.ahead if found and known else vault.read_ahead(request.visit_id, named(visit))
        try:
            held = vault.open_ahead(ahead)
            if found is None or not known:
                found = self._draft = draft(visit, request, entry, example_picture, ahead, held)
        except KitError:
            ahead.wipe()
            raise
        return found

    def _judged(
        self,
        request: BagVisit,
        entry: Entry,
        vault: OpenVault,
        ahead: timedelta = timedelta(0),
        key: Sequence[x509.Certificate] = (),
    ) -> tuple[RecipientList, Signer, datetime]:
        """To whom it may be sealed, by which officer, and when: now. `ahead`: for how long all that sealing
        needs must still be valid; `key`: of the security key that signs instead."""
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
        return held, officer, now

    def _core(
        self,
        packet_id: str,
        contents: tuple[Content, ...],
        flags: tuple[str, ...],
        held: RecipientList,
        request: BagVisit,
        entry: Entry,
        vault: OpenVault,
        now: datetime,
        by: Literal["pin-key", "webauthn"] = "pin-key",
    ) -> Core:
        """What is sealed, in the kit's chain. `by`: how the officer signs."""
        seq, prev = vault.next_seq()
        return Core(
            suite=held.suite,
            packet_id=packet_id,
            visit_id=request.visit_id,
            tenant=request.tenant,
            service_id=entry.service.service,
            catalogue=entry.digest,
            kit_id=self._kit.kit_id,
            kit_cert_serial=self._kit.serial,
            officer_id=vault.officer_id,
            officer_signature=by,
            created_utc=write_instant(now),
            seq=seq,
            prev=prev,
            recipients=packet.kids_of(held.recipients),
            contents=contents,
            legal=Legal(reason=entry.service.retention.reason, retention_until=_retained(now, entry)),
            flags=tuple(sorted({*flags, *([TEST_RECIPIENTS] if held.test else [])})),
            supplements=_supplements(request),
        )

    def _list(self, service_id: str, now: datetime, vault: OpenVault) -> RecipientList:
        """To whom to seal, on a list no older than any this kit has seen."""
        if self._newest is None or self._newest.database is not vault.database:
            self._newest, self._seen = Newest(vault.database), None
        newest = self._newest
        held = self._recipients.valid(service_id, now, newest.issued(service_id))
        if held is not self._seen:
            newest.saw(held)
            self._seen = held
        return held


@dataclass(frozen=True)
class _Laid:
    """A layout, and what it is of: draft, recipient list, packet and officer. Its place in the kit's chain is
    judged in the transaction that it is kept in; what takes that place ends the draft."""

    drawn: Draft
    held: RecipientList
    place: tuple[str, str]
    layout: Layout = field(repr=False)


def _retained(now: datetime, entry: Entry) -> str:
    """Until which day, as the manifest spells it."""
    return (now + timedelta(days=entry.service.retention.biometric_days_max)).date().isoformat()


class _Refused:
    """A packet that its service would refuse is not made."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, BadPacket):
            raise KitError(Code.CANNOT_SEAL, Remedy.WORKSHOP, str(problem)) from problem


_refused = _Refused()


def _told(written: Written) -> Written:
    """The same, with what is wrong with it in the kit's words."""

    def complete() -> None:
        with _refused:
            written.complete()

    return Written(written.packet, written.manifest_sha256, written.size, complete)


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
