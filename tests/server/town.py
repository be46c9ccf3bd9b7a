"""A whole fleet server in a folder: certificates, keys, a service's keys, fleet.toml, a filled database."""

import secrets
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from competent.keys import make_keys
from protocol.identity import serial_of
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.sealed import age
from protocol.sealed.manifest import FIRST_PREV, Core, Legal
from protocol.sealed.packet import Part, Sealed, Signer, contents_of, kids_of, seal
from protocol.sealed.receipt import Receipt, sign_receipt
from protocol.sealed.recipients import verify_list
from server import config as configuration
from server import trust
from server.auth.roles import Actor, Role
from server.db import schema
from server.db.engine import Database
from server.db.field_key import FieldKey
from server.db.scope import EVERYONE
from server.db.tables import Visit
from server.fleet import drafts, requests, setup, visits
from server.fleet.bags import Sealer
from server.fleet.blobs import BlobStore
from server.fleet.custody import Custodian
from server.fleet.requests import Made
from server.fleet.uploads import Dock
from server.settings import Fleet
from tests.mosquitto import Mosquitto, free_port
from tests.pki import Pki
from tests.postgresql import APP, OWNER, Postgresql
from tests.server.engines import SQLITE_FILE, TEMPLATE, Engine

BRUGGE, DAMME = "0207530775", "0207458223"
KIT, OTHER_KIT = "kit-brugge-01", "kit-damme-01"
SERVICE = "be.eid.application"
PASSWORD = "een-lang-wachtwoord-1"
ACCOUNTS = {
    "planner.brugge": ("planner", BRUGGE),
    "inclusie.brugge": ("inclusion", BRUGGE),
    "beheer.brugge": ("admin", BRUGGE),
    "planner.damme": ("planner", DAMME),
    "vloot": ("fleet-admin", ""),
}
PARTS = (
    Part("identity.json", "application/json", b'{"surname":"Peeters"}'),
    Part("photo.jpg", "image/jpeg", b"\xff\xd8" + bytes(range(256)) * 40),
)
FORM: dict[str, Any] = {
    "name": "Zénobie Canarië-Vandevelde",
    "birth_date": "27/03/1941",
    "national_number": "",
    "phone": "050 12 34 56",
    "street": "Kanariestraat 17",
    "postcode": "8000",
    "municipality": "Brugge",
    "note": "Bel bij de buren",
    "language": "nl",
    "half_days": ["mon-am", "wed-pm"],
    "evidence": "sworn-statement",
    "requester": "carer",
    "requester_name": "Zorgdienst Kanarie",
    "requester_contact": "050 00 00 09",
}


@dataclass(frozen=True)
class Ground:
    """What takes long to make and never changes: certificates, the service's keys, bag keys, a database."""

    folder: Path
    pki: Pki
    bag: tuple[str, str] = field(repr=False)  # identity, recipient

    @property
    def service(self) -> Path:
        return self.folder / "service"


def make_ground(folder: Path) -> Ground:
    pki = Pki(folder / "pki")
    make_keys(folder / "service", SERVICE, datetime.now(UTC), timedelta(days=30))
    ground = Ground(folder, pki, age.generate())
    for role, name in (("server", "fleet.test"), ("ingest", "fleet-ingest-1"), ("service", "service.test")):
        pki.issue(role, name)
    for kit_id in (KIT, OTHER_KIT):
        pki.issue("kit-tls", kit_id)
        pki.issue("kit-sign", kit_id)
    pki.issue("officer", "an.peeters")
    pki.issue("custodian", "fleet.test")
    _fill(ground, Database(f"sqlite:///{folder / 'filled.db'}"))
    return ground


def fill_postgresql(ground: Ground, server: Postgresql) -> None:
    """The same as a database that every town gets a copy of."""
    server.create(TEMPLATE)
    _fill(ground, Database(server.url(TEMPLATE, OWNER)), APP)


@contextmanager
def filled_postgresql(ground: Ground) -> Iterator[Postgresql]:
    """A server with a filled database that every town gets a copy of."""
    server = Postgresql()
    try:
        fill_postgresql(ground, server)
        yield server
    finally:
        server.stop()


def _fill(ground: Ground, database: Database, user: str | None = None) -> None:
    schema.migrate(database, user)
    with database.writing(EVERYONE) as db:
        setup.add(db, _filling(ground), datetime.now(UTC))
    database.close()


class Town:
    """One fleet server's folder with its database; nothing runs."""

    def __init__(self, folder: Path, ground: Ground, engine: Engine = SQLITE_FILE) -> None:
        self.folder, self.ground, self.engine = folder, ground, engine
        self.ports = {name: free_port() for name in ("web", "kits", "service", "mqtt")}
        (folder / "data").mkdir(parents=True)
        self.database_name, self.database_lines = engine.lines(ground.folder / "filled.db", folder / "data")
        _secret(folder / "field.key", secrets.token_bytes(32))
        command_key = ec.generate_private_key(ec.SECP256R1())
        _secret(folder / "command.key", _pem(command_key))
        self.command_keys = {"command-1": command_key.public_key()}
        (folder / "metrics-token").write_text("t" * 32)
        (folder / "trust").mkdir()
        shutil.copyfile(ground.pki.roots, folder / "trust" / "root.pem")
        self.toml = folder / "fleet.toml"
        self.write_toml()

    def write_toml(self, **services: str) -> None:
        self.toml.write_text(_toml(self, services), encoding="utf-8")

    @cached_property
    def config(self) -> Fleet:
        return configuration.read(self.toml)

    @cached_property
    def database(self) -> Database:
        return Database(self.config.database_url)

    @cached_property
    def fields(self) -> FieldKey:
        return trust.field_key(self.config.keys)

    @cached_property
    def sealer(self) -> Sealer:
        return Sealer(trust.command_key(self.config.keys), self.config.keys.command_kid)

    @cached_property
    def custodian(self) -> Custodian:
        lists = {name: service.recipients for name, service in self.config.services.items()}
        return Custodian(*trust.custody_key(self.config.keys), lists)

    @cached_property
    def dock(self) -> Dock:
        data = self.config.data
        return Dock(data / "uploads", BlobStore(data / "blobs"), trust.roots(self.config.trust.roots))

    def actor(self, role: Role = "planner", tenant: str | None = BRUGGE) -> Actor:
        return Actor("tester", "tester", role, None if role == "fleet-admin" else tenant)

    def ask(self, now: datetime | None = None, **changes: Any) -> Made:
        """A request, as the public form makes it."""
        now = now or datetime.now(UTC)
        draft = drafts.read(FORM | changes, visits.local_day(now))
        with self.database.writing(EVERYONE) as db:
            return requests.make(db, self.fields, draft, now)

    def plan(
        self,
        request_id: str = "",
        hour: int = 9,
        kit_id: str = KIT,
        officer: str = "an.peeters",
        day: int = 0,
    ) -> Visit:
        """A visit of today (or `day` days later) at `hour`, of a new request unless one is given."""
        now = datetime.now(UTC)
        request_id = request_id or self.ask(name=f"Persoon {new_ulid()}").request_id
        starts = datetime.combine(visits.local_day(now) + timedelta(days=day), time(hour), visits.ZONE)
        clerk = self.actor()
        with self.database.writing(clerk.scope) as db:
            return visits.plan(db, clerk, request_id, officer, kit_id, starts, 45, now)

    def packet(
        self,
        visit: Visit,
        seq: int = 1,
        kit_id: str = KIT,
        parts: Sequence[Part] = PARTS,
        signer: Signer | None = None,
        **changes: Any,
    ) -> Sealed:
        """A sealed application of the visit, signed by the kit (or `signer`) and an officer of the ground."""
        kit = signer or self.signer("kit-sign", kit_id)
        officer = self.signer("officer", "an.peeters")
        recipients = self.recipients.recipients
        members: dict[str, Any] = {
            "packet_id": new_ulid(),
            "visit_id": visit.visit_id,
            "tenant": visit.tenant,
            "service_id": visit.service_id,
            "catalogue": "c" * 64,
            "kit_id": kit_id,
            "kit_cert_serial": serial_of(kit.chain[0]),
            "officer_id": "an.peeters",
            "created_utc": write_instant(datetime.now(UTC).replace(microsecond=0)),
            "seq": seq,
            "prev": FIRST_PREV if seq == 1 else "d" * 64,
            "recipients": kids_of(recipients),
            "contents": contents_of(parts),
            "legal": Legal(reason="be.1991-07-19", retention_until="2030-01-01"),
        }
        return seal(parts, Core(**(members | changes)), recipients, kit, officer)

    def receipt(self, sealed: Sealed, verdict: str = "accepted", code: str = "", **changes: Any) -> str:
        """The service's signed answer to a packet."""
        members: dict[str, Any] = {
            "packet_id": sealed.manifest.packet_id,
            "manifest_sha256": sealed.manifest_sha256,
            "kit_id": sealed.manifest.kit_id,
            "verdict": verdict,
            "code": code,
            "at": write_instant(datetime.now(UTC).replace(microsecond=0)),
        }
        key = serialization.load_pem_private_key((self.ground.service / "receipt.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return sign_receipt(Receipt(**(members | changes)), key)

    def signer(self, role: str, name: str) -> Signer:
        files = self.ground.pki.folder / f"{role}-{name}"
        key = serialization.load_pem_private_key(files.with_name(f"{files.name}.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        chain = x509.load_pem_x509_certificates(files.with_name(f"{files.name}.pem").read_bytes())
        return Signer(key, chain)

    @cached_property
    def recipients(self) -> Any:
        list_key = serialization.load_pem_public_key((self.ground.service / "list-key.pem").read_bytes())
        assert isinstance(list_key, ec.EllipticCurvePublicKey)
        return verify_list((self.ground.service / "recipients.jws").read_text(), list_key, datetime.now(UTC))

    def disk(self) -> Iterator[tuple[Path, bytes]]:
        """Every file of the data folder, the database's log included."""
        for path in sorted(self.config.data.rglob("*")):
            if path.is_file():
                yield path, path.read_bytes()

    def close(self) -> None:
        if "database" in self.__dict__:
            self.database.close()
        self.engine.drop(self.database_name)


def _filling(ground: Ground) -> dict[str, Any]:
    return {
        "municipalities": [
            {"tenant": BRUGGE, "name": "Brugge", "postcodes": ["8000", "8200", "8310", "8380"]},
            {"tenant": DAMME, "name": "Damme", "postcodes": ["8340"]},
        ],
        "officers": [
            {"id": "an.peeters", "name": "An Peeters", "tenant": BRUGGE},
            {"id": "bo.claes", "name": "Bo Claes", "tenant": BRUGGE},
            {"id": "cis.maes", "name": "Cis Maes", "tenant": DAMME},
        ],
        "accounts": [
            {"name": name, "role": role, "tenant": tenant, "password": PASSWORD}
            for name, (role, tenant) in ACCOUNTS.items()
        ],
        "kits": [
            {"id": KIT, "bag_recipient": ground.bag[1], "tenants": [BRUGGE]},
            {"id": OTHER_KIT, "bag_recipient": ground.bag[1], "tenants": [DAMME]},
        ],
    }


def _toml(town: Town, services: Mapping[str, str]) -> str:
    pki, ports = town.ground.pki.folder, town.ports
    service = town.ground.service
    text = f"""
data = "data"
language = "nl"
{town.database_lines}[web]
port = {ports["web"]}
metrics_token = "metrics-token"
[kits]
port = {ports["kits"]}
certificate = "{pki}/server-fleet.test.pem"
key = "{pki}/server-fleet.test.key"
client_ca = "{pki}/clients.pem"
crl = "{pki}/revoked.pem"
[mqtt]
host = "127.0.0.1"
port = {ports["mqtt"]}
ca = "{pki}/roots.pem"
certificate = "{pki}/ingest-fleet-ingest-1.pem"
key = "{pki}/ingest-fleet-ingest-1.key"
[trust]
roots = "trust"
[keys]
command_key = "command.key"
command_kid = "command-1"
custody_key = "{pki}/custodian-fleet.test.key"
custody_certificate = "{pki}/custodian-fleet.test.pem"
field_key = "field.key"
[services."{SERVICE}"]
url = "https://127.0.0.1:{ports["service"]}"
ca = "{pki}/roots.pem"
certificate = "{pki}/ingest-fleet-ingest-1.pem"
key = "{pki}/ingest-fleet-ingest-1.key"
recipients = "{service}/recipients.jws"
list_key = "{service}/list-key.pem"
"""
    tomllib.loads(text)
    return text + "\n".join(services.values())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _secret(path: Path, data: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(data)


@contextmanager
def served_by(town: Town, broker: Mosquitto) -> Iterator[Mosquitto]:
    """The broker runs, and the town's programs are told where, until the block is left."""
    town.ports["mqtt"] = broker.port
    town.write_toml()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
