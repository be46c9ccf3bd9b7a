"""Builds the demo's fleet from nothing: certificates, broker, fleet, service, kit; all below one folder."""

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol import signed
from protocol.access import ADMIN
from protocol.catalogue import parse
from provisioning import broker, kit, toml
from provisioning.ca import Authority
from provisioning.certificates import key_pem
from provisioning.demo.cast import OFFICERS, TOWNS
from provisioning.demo.chip import Chip
from provisioning.demo.layout import KIT, SERVICE, Layout
from provisioning.durable import write_secret, write_whole
from provisioning.release import release

POSSESSION = """
[possession]
exceptions = ["no-card", "no-certificate", "certificate-expired", "pin-blocked", "pin-unknown", "refuses"]
"""
HOSTS = ("localhost", "127.0.0.1")
SERIAL = {"finger": 115_200, "signpad": 19_200}


@dataclass(frozen=True)
class Account:
    """Somebody of the town hall who signs in at the fleet."""

    name: str
    role: str
    town: str  # "" for the whole fleet
    password: str = field(repr=False)


@dataclass(frozen=True)
class World:
    """What was built, with the secrets that a demo may print."""

    layout: Layout
    ports: Mapping[str, int]
    officers: tuple[kit.NewOfficer, ...] = field(repr=False)
    accounts: tuple[Account, ...] = field(repr=False)
    control_token: str = field(repr=False)

    def url(self, name: str) -> str:
        scheme = "https" if name in ("kits", "service") else "http"
        return f"{scheme}://127.0.0.1:{self.ports[name]}"

    @property
    def kiosk(self) -> str:
        """As the officer's browser has to open it: a security key answers to a name, and to no number."""
        return f"http://localhost:{self.ports['kiosk']}"

    @property
    def planner(self) -> Account:
        return next(account for account in self.accounts if account.role == "planner")


def sweep(layout: Layout) -> None:
    """Remove what every run begins without."""
    for folder in layout.fresh():
        shutil.rmtree(folder, ignore_errors=True)
    for folder in layout.fresh():
        folder.mkdir(mode=0o700, parents=True)


def write(layout: Layout, authority: Authority, ports: Mapping[str, int]) -> World:
    """Configuration, certificates and keys of broker, fleet and service, and the files the kit reads."""
    world = World(
        layout,
        ports,
        tuple(kit.NewOfficer(role.officer_id, role.name, kit.new_pin()) for role in OFFICERS),
        (
            Account("planner.brugge", "planner", TOWNS[0].name, _password()),
            Account("inclusie.brugge", "inclusion", TOWNS[0].name, _password()),
            Account("beheer.brugge", "admin", TOWNS[0].name, _password()),
            Account("vlootbeheer", "fleet-admin", "", _password()),
        ),
        secrets.token_urlsafe(24),
    )
    _write_broker(world, authority)
    _write_fleet(world, authority)
    _write_service(world, authority)
    _write_sys(layout.sys)
    return world


def make_kit(world: World, authority: Authority, with_pin: bool = False, tpm: Chip | None = None) -> str:
    """The kit's folder with its officers; the recipient of its day bags. `with_pin`: for a service that asks
    for the PIN of the citizen's card; `tpm`: it runs, and gets the kit's keys."""
    layout = world.layout
    if with_pin:
        _write_catalogue(layout.catalogue)
    site = kit.Site(
        mqtt_host="127.0.0.1",
        mqtt_port=world.ports["broker"],
        https=world.url("kits"),
        cards=str(layout.card_roots.resolve()),
        recipients=str((layout.service_keys / "recipients.jws").resolve()),
        list_key=str((layout.service_keys / "list-key.pem").resolve()),
        command_key=str((layout.fleet / "keys" / "command-key.pem").resolve()),
        drivers={
            "card": {"driver": "pcsc", "reader": ""},
            "camera": {"driver": "folder", "path": str(layout.camera.resolve())},
            "fingerprint": {
                "driver": "suprema-sfm",
                "port": str(layout.run.resolve() / "finger"),
                "baud": SERIAL["finger"],
            },
            "signature": {"driver": "topaz-siglite", "port": str(layout.run.resolve() / "signpad")},
        },
        kiosk_port=world.ports["kiosk"],
        test_cards=True,
        catalogue=str(layout.catalogue.resolve()) if with_pin else "",
        health_every_s=10,
        sticks="sticks",
        sys=str(layout.sys.resolve()),
        keys=kit.IN_A_FILE if tpm is None else tpm.keys(),
        tls_key=kit.TLS_KEY if tpm is None else str(tpm.tls_key),
    )
    added = kit.add(layout.kits, KIT, authority, site, layout.root, world.officers)
    (added.folder / "sticks" / "USB").mkdir(parents=True, exist_ok=True)
    return added.bag_recipient


def _write_catalogue(folder: Path) -> None:
    """The shipped entry with one step more, as a service would have it that wants the holder's own yes."""
    name = f"{SERVICE}.toml"
    shipped = files("protocol.catalogue").joinpath(name).read_text()
    entry = shipped.replace('"inform", "procedure"', '"inform", "possession", "procedure"') + POSSESSION
    parse(entry.encode())  # BadCatalogue when the shipped entry has changed its steps
    write_whole(folder / name, entry.encode())


def _write_broker(world: World, authority: Authority) -> None:
    folder = world.layout.broker
    release(authority, world.layout.release)
    for name in ("authorities.pem", "broker-lists.pem"):
        write_whole(folder / name, (world.layout.release / name).read_bytes())
    authority.issue("broker", "broker.demo", HOSTS).write(folder, "broker")
    broker.write(
        broker.BrokerSettings(
            folder=folder,
            authorities=folder / "authorities.pem",
            revoked=folder / "broker-lists.pem",
            certificate=folder / "broker.pem",
            key=folder / "broker.key",
            port=world.ports["broker"],
            kits=(KIT,),  # or the fleet tells it at its start, and the kit's first tries are in vain
        )
    )


def _write_fleet(world: World, authority: Authority) -> None:
    folder = world.layout.fleet
    authority.issue("server", "fleet.demo", HOSTS).write(folder / "certs", "server")
    authority.issue("ingest", broker.WORKER).write(folder / "certs", "ingest")
    authority.issue("custodian", "fleet.demo").write(folder / "certs", "custodian")
    authority.issue("ingest", ADMIN).write(folder / "certs", "admin")
    write_whole(folder / "certs" / "authorities.pem", authority.bundle("root"))
    write_whole(folder / "certs" / "kit-authorities.pem", authority.bundle("root", "kit"))
    write_whole(folder / "certs" / "kit-crl.pem", authority.crls("kit"))
    write_whole(folder / "trust" / "root.pem", authority.bundle("root"))
    command_key = ec.generate_private_key(ec.SECP256R1())
    write_secret(folder / "keys" / "command.key", key_pem(command_key))
    write_whole(
        folder / "keys" / "command-key.pem",
        command_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )
    write_secret(folder / "keys" / "field.key", secrets.token_bytes(32))
    keys = world.layout.service_keys.resolve()
    table: dict[str, toml.Value] = {
        "data": "data",
        "language": "nl",
        "web": {"host": "127.0.0.1", "port": world.ports["fleet"]},
        "kits": {
            "host": "127.0.0.1",
            "port": world.ports["kits"],
            "certificate": "certs/server.pem",
            "key": "certs/server.key",
            "client_ca": "certs/kit-authorities.pem",
            "crl": "certs/kit-crl.pem",
        },
        "mqtt": {
            "host": "127.0.0.1",
            "port": world.ports["broker"],
            "ca": "certs/authorities.pem",
            "certificate": "certs/ingest.pem",
            "key": "certs/ingest.key",
            "client_id": broker.WORKER,
        },
        "broker": {
            "certificate": "certs/admin.pem",
            "key": "certs/admin.key",
            "configuration": world.layout.broker.resolve() / "mosquitto.conf",
            "release": world.layout.release.resolve(),
            "authority": world.layout.ca.resolve(),
        },
        "trust": {"roots": "trust"},
        "keys": {
            "command_key": "keys/command.key",
            "command_kid": signed.key_id(command_key.public_key()),
            "field_key": "keys/field.key",
            "custody_key": "certs/custodian.key",
            "custody_certificate": "certs/custodian.pem",
        },
        "services": {
            SERVICE: {
                "url": world.url("service"),
                "ca": "certs/authorities.pem",
                "recipients": keys / "recipients.jws",
                "list_key": keys / "list-key.pem",
                "certificate": "certs/ingest.pem",
                "key": "certs/ingest.key",
            }
        },
    }
    write_whole(world.layout.fleet_toml, toml.text(table).encode())


def _write_service(world: World, authority: Authority) -> None:
    folder = world.layout.service
    authority.issue("service", "service.demo", HOSTS).write(folder, "service")
    write_whole(folder / "client-authorities.pem", authority.bundle("root", "server"))
    write_whole(folder / "trust" / "root.pem", authority.bundle("root"))
    table: dict[str, toml.Value] = {
        "host": "127.0.0.1",
        "port": world.ports["service"],
        "certificate": "service.pem",
        "key": "service.key",
        "client_ca": "client-authorities.pem",
        "trust": "trust",
        "keys": world.layout.service_keys.resolve(),
        "data": "data",
        "control_token": world.control_token,
    }
    write_secret(world.layout.service_toml, toml.text(table).encode())


def _write_sys(sys: Path) -> None:
    """A battery at 84 percent that charges, and a mild day, as the kernel would say it."""
    for name, value in {
        "class/power_supply/BAT0/type": "Battery",
        "class/power_supply/BAT0/capacity": "84",
        "class/power_supply/BAT0/status": "Charging",
        "class/power_supply/AC/type": "Mains",
        "class/power_supply/AC/online": "1",
        "class/thermal/thermal_zone0/temp": "41500",
    }.items():
        path = sys / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")


def _password() -> str:
    return secrets.token_urlsafe(12)  # 16 characters; the fleet wants 15


def secrets_of(world: World) -> str:
    """Sign-ins as JSON, for whoever plays from outside (`.demo/sign-ins.json`, 0600)."""
    return json.dumps(
        {
            "officers": {officer.officer_id: officer.pin for officer in world.officers},
            "accounts": {account.name: account.password for account in world.accounts},
        },
        indent=1,
    )
