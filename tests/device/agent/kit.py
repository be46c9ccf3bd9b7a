"""A whole kit for tests of the desk: real vault, spool and keys in a folder, peripherals of our own."""

import copy
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.clock import SystemClock
from device.agent.desk import Desk
from device.agent.events import ChooseProcedure, Inform, Review
from device.agent.founding import NewOfficer, found
from device.agent.recipients import Recipients
from device.agent.sealing import KitSigner
from device.agent.setup import Setup
from device.agent.snapshot import Failure, Snapshot
from device.errors import KitError
from device.spool.hatch import Hatch
from device.spool.spool import Spool
from device.spool.sticks import Sticks
from device.vault.keysource import FileKeySource
from protocol import canonical, signed
from protocol.bag import BagVisit, Citizen, DayBag, Place, seal_bag
from protocol.catalogue import shipped
from protocol.identity import Role
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.sealed import age, agekeys
from protocol.sealed.packet import Opened, Signer, open_packet
from protocol.sealed.receipt import Receipt, Verdict, sign_receipt
from protocol.sealed.recipients import Recipient, RecipientList, receipt_key, sign_list
from tests.device.agent.peripherals import NUMBER, Bench
from tests.protocol.certificates import Holder, authority, leaf

KIT = "kit-test-01"
OFFICER = "an.peeters"
COLLEAGUE = "jo.maes"
PIN = "482915"
WEEK = timedelta(days=7)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


CONFIG = """
kit_id = "{kit}"
data = "data"
language = "nl"
[kiosk]
port = {port}
[fleet]
mqtt_host = "127.0.0.1"
mqtt_port = 8883
https = "https://127.0.0.1:8443"
ca = "trust/fleet-ca.pem"
certificate = "certs/kit-tls.pem"
key = "certs/kit-tls.key"
[signing]
certificate = "certs/kit-sign.pem"
key = "certs/kit-sign.key"
[trust]
cards = "trust/cards"
test_cards = true
recipients = "recipients.jws"
list_key = "trust/list-key.pem"
command_key = "trust/command-key.pem"
[keys]
source = "file"
path = "device-secret"
[drivers.card]
driver = "pcsc"
reader = "no such reader"
[drivers.camera]
driver = "folder"
path = "frames"
[drivers.fingerprint]
driver = "suprema-sfm"
port = "finger"
baud = 115200
[drivers.signature]
driver = "topaz-siglite"
port = "pad"
[health]
every_s = 60
sys = "sys"
"""


@dataclass
class Service:
    """The competent service: its keys, and what it answers."""

    identity: str
    list_key: ec.EllipticCurvePrivateKey
    receipt_key: ec.EllipticCurvePrivateKey
    root: Holder

    def open(self, data: bytes) -> Opened:
        roots = [self.root.certificate]
        return open_packet(data, [self.identity], roots, roots, datetime.now(UTC))

    def answer(self, data: bytes, verdict: Verdict = "accepted", code: str = "", **changes: Any) -> str:
        opened = self.open(data)
        receipt = Receipt(
            packet_id=opened.outer.manifest.packet_id,
            manifest_sha256=opened.outer.manifest_sha256,
            kit_id=KIT,
            verdict=verdict,
            code=code,
            at=write_instant(datetime.now(UTC)),
        )
        members = {name: getattr(receipt, name) for name in receipt.__struct_fields__}
        return sign_receipt(Receipt(**{**members, **changes}), self.receipt_key)


class Kit:
    """A kit in `folder` that can be switched on, off, and (in another process) killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.clock = SystemClock()
        now = self.clock.now()
        self.root = authority("Root")
        self.issuing = issuing = authority("Issuing", self.root, 0)
        start, end = now - WEEK, now + WEEK
        kit = leaf(Role.KIT_SIGN, KIT, issuing, start=start, end=end)
        self.signer = KitSigner(KIT, Signer(kit.key, (kit.certificate, issuing.certificate)))
        self.key_source = FileKeySource.create(folder / "device-secret")
        officers = []
        for officer_id, name in ((OFFICER, "An Peeters"), (COLLEAGUE, "Jo Maes")):
            holder = leaf(Role.OFFICER, officer_id, issuing, start=start, end=end)
            chain = certificate_pem(holder.certificate) + certificate_pem(issuing.certificate)
            officers.append(NewOfficer(officer_id, name, PIN, key_pem(holder.key).decode(), chain.decode()))
        self.bag_recipient = found(self.data / "vault.db", self.key_source, self.clock, officers)
        identity, self.recipient = agekeys.generate()
        self.command_key = ec.generate_private_key(ec.SECP256R1())
        self.service = Service(
            identity,
            ec.generate_private_key(ec.SECP256R1()),
            ec.generate_private_key(ec.SECP256R1()),
            self.root,
        )
        self.list_path = folder / "recipients.jws"
        self.write_list(now + WEEK)
        self.bag_version = 0

    def copy_to(self, folder: Path) -> "Kit":
        """The same kit, keys and officers, elsewhere."""
        shutil.copytree(self.folder, folder)
        other = copy.copy(self)
        other.folder = folder
        other.data = folder / "data"
        other.key_source = FileKeySource(folder / "device-secret")
        other.list_path = folder / "recipients.jws"
        return other

    def packet_file(self, packet_id: str) -> Path:
        """Where the spool keeps a packet that is offered."""
        (path,) = (self.data / "spool" / "packets").glob(f"*-{packet_id}.sealed")
        return path

    def write_list(self, expires: datetime) -> None:
        public = self.service.receipt_key.public_key()
        held = RecipientList(
            service_id="be.eid.application",
            issued=write_instant(expires - 3 * WEEK),
            expires=write_instant(expires),
            recipients=(
                Recipient("service-1", self.recipient),
                Recipient("service-2", agekeys.generate()[1]),
            ),
            receipt_keys=(receipt_key(public),),
        )
        self.list_path.write_text(sign_list(held, self.service.list_key))

    def visit(self, officer_id: str = OFFICER, number: str = NUMBER) -> BagVisit:
        now = self.clock.now()
        return BagVisit(
            visit_id=new_ulid(),
            service_id="be.eid.application",
            tenant="0207500123",
            municipality="Brugge",
            starts=write_instant(now),
            ends=write_instant(now + timedelta(minutes=25)),
            officer_id=officer_id,
            language="nl",
            citizen=Citizen(name="Roos Vandekanarie", birth_date="1979-04-15", national_number=number),
            place=Place(street="Kanariestraat 1", postcode="8000", municipality="Kanariedorp", note="hond"),
        )

    def bring_bag(self, *visits: BagVisit, kit_id: str = KIT, days_ago: int = 0) -> None:
        """As the uplink does: a newer bag, sealed, into the spool."""
        self.bag_version += 1
        now = self.clock.now()
        bag = DayBag(
            kit_id=kit_id,
            version=self.bag_version,
            issued=write_instant(now),
            date=(now - timedelta(days=days_ago)).date().isoformat(),
            visits=visits,
        )
        self.store_bag(seal_bag(bag, self.bag_recipient, self.command_key, self.command_kid))

    def bring_later_bag(self, visit: BagVisit) -> None:
        """A bag of a later fleet: beside `visit` it has one with a member that is unknown here."""
        self.bag_version += 1
        now = self.clock.now()
        known = msgspec.to_builtins(visit)
        bag = {
            "v": 1,
            "kit_id": KIT,
            "version": self.bag_version,
            "issued": write_instant(now),
            "date": now.date().isoformat(),
            "visits": (known | {"visit_id": new_ulid(), "wheelchair": True}, known),
        }
        token = signed.sign("bag", canonical.dumps(bag), self.command_key, self.command_kid)
        self.store_bag(age.encrypt(token.encode(), [self.bag_recipient]))

    @property
    def command_kid(self) -> str:
        return signed.key_id(self.command_key.public_key())

    def store_bag(self, sealed: bytes) -> None:
        hatch = self.hatch()
        hatch.store_bag(self.bag_version, sealed)
        hatch.close()

    def write_config(self, port: int) -> Path:
        """kit.toml and all files it names; serial ports that nobody answers on."""
        write = {
            "certs/kit-sign.pem": b"".join(map(certificate_pem, self.signer.signer.chain)),
            "certs/kit-sign.key": key_pem(self.signer.signer.key),
            "certs/kit-tls.pem": b"".join(map(certificate_pem, self.signer.signer.chain)),
            "trust/fleet-ca.pem": certificate_pem(self.root.certificate),
            "trust/list-key.pem": _public_pem(self.service.list_key),
            "trust/command-key.pem": _public_pem(self.command_key),
            "trust/cards/root.der": self.root.certificate.public_bytes(serialization.Encoding.DER),
        }
        for name, data in write.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        path = self.folder / "kit.toml"
        path.write_text(CONFIG.format(kit=KIT, port=port))
        return path

    @property
    def roots_path(self) -> Path:
        path = self.folder / "roots.pem"
        path.write_bytes(certificate_pem(self.root.certificate))
        return path

    def hatch(self) -> Hatch:
        """The uplink's side of the spool; close it."""
        return Hatch(self.data / "spool")

    def setup(self, bench: Bench, spool: Spool) -> Setup:
        public = self.command_key.public_key()
        return Setup(
            kit=self.signer,
            data=self.data,
            spool=spool,
            key_source=self.key_source,
            recipients=Recipients(self.list_path, self.service.list_key.public_key()),
            command_keys={signed.key_id(public): public},
            catalogue=shipped(),
            openers=bench.openers(),
            clock=self.clock,
            sticks=Sticks(self.folder / "media", folders=True),
            roots=self.roots_path,
            officer_roots=(self.root.certificate,),
            sys=self.folder / "sys",
        )


class Desktop:
    """A desk that is on, with its bench; `with` switches it off."""

    def __init__(self, kit: Kit, **changes: object) -> None:
        self.kit = kit
        self.bench = Bench()
        self.spool = Spool(kit.data / "spool")
        self.desk = Desk(replace(kit.setup(self.bench, self.spool), **changes))  # type: ignore[arg-type]
        self.desk.open()

    def __enter__(self) -> "Desktop":
        return self

    def __exit__(self, *_: object) -> None:
        self.bench.release()
        self.desk.close()
        self.spool.close()
        if self.desk.bug is not None:
            raise self.desk.bug

    def until(self, true: Callable[[Snapshot], object], seconds: float = 60.0) -> Snapshot:
        """The first snapshot of which this is true."""
        ends = time.monotonic() + seconds
        snapshot = self.desk.now()
        while not true(snapshot):
            if time.monotonic() > ends:
                raise AssertionError(f"it never came; last: {snapshot}")
            snapshot = self.desk.after(snapshot.version, 0.2)
        self.tidied()
        return snapshot

    def tidied(self) -> None:
        """What follows a fact once the screen tells it (log emptied, packet offered) has been done."""
        with suppress(KitError):  # a desk that has closed tidies no more
            self.desk._ask(lambda office: None)

    def idle(self) -> Snapshot:
        return self.until(lambda seen: seen.busy is None)

    def fails(self, what: str, hand: str | None = None) -> Failure:
        """The failure that this capture ends in."""
        failure = self.capture(what, hand).failure
        assert failure is not None
        return failure

    def until_step(self, visit: BagVisit, step: str) -> None:
        """A visit begun, and every step done before this one."""
        self.begin(visit)
        for do in self.steps():
            seen = self.desk.now().visit
            assert seen is not None
            if seen.step == step:
                return
            do()
            assert self.desk.now().failure is None

    def begin(self, visit: BagVisit) -> None:
        """Unlock and put the visit on the counter."""
        self.desk.unlock(OFFICER, PIN)
        self.desk.choose(visit.visit_id)

    def capture(self, what: str, hand: str | None = None) -> Snapshot:
        self.desk.start(what, hand)  # type: ignore[arg-type]
        return self.idle()

    def steps(self) -> tuple[Callable[[], object], ...]:
        """What the officer does in a whole visit, after choosing it."""
        desk = self.desk
        return (
            lambda: self.capture("card"),
            lambda: desk.wish(Inform("eid-info", "nl", aloud=False)),
            lambda: desk.wish(ChooseProcedure("normal")),
            lambda: self.capture("photo"),
            lambda: self.capture("finger", "right"),
            lambda: self.capture("finger", "left"),
            lambda: self.capture("signature"),
            lambda: desk.wish(Review("nl")),
            lambda: self.capture("seal"),
        )

    def whole_visit(self, visit: BagVisit) -> Snapshot:
        self.begin(visit)
        for step in self.steps():
            step()
            assert self.desk.now().failure is None
        return self.until(lambda seen: seen.visit and seen.visit.sealed)

    def packet(self, packet_id: str) -> bytes:
        return self.kit.packet_file(packet_id).read_bytes()
