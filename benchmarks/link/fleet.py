"""The real listener of the fleet at the far end of the link, and sealed applications that it accepts."""

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.link.emulator import RIGHT
from competent.keys import make_keys
from protocol.identity import serial_of
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.sealed import age
from protocol.sealed.manifest import FIRST_PREV, Core, Legal
from protocol.sealed.packet import Part, Signer, contents_of, kids_of, seal
from protocol.sealed.recipients import verify_list
from provisioning import toml
from provisioning.ca import Authority
from provisioning.certificates import key_pem
from provisioning.durable import write_secret, write_whole
from server.auth.roles import Actor
from server.db import schema
from server.db.engine import Database
from server.db.field_key import FieldKey
from server.db.scope import EVERYONE
from server.fleet import drafts, requests, setup, visits

KIT, OFFICER, TENANT = "kit-bench-01", "an.peeters", "0207530775"
SERVICE = "be.eid.application"
PORT = 8751


class Fleet:
    """A folder with certificates, database and configuration; `start` runs the listener in a namespace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = Authority.create(folder / "ca", "Bench")
        write_whole(folder / "root.pem", self._authority.bundle("root"))
        write_whole(folder / "clients.pem", self._authority.bundle("root", "kit", "server"))
        write_whole(folder / "revoked.pem", self._authority.crls("kit", "server"))
        write_whole(folder / "trust" / "root.pem", self._authority.bundle("root"))
        for role, name, hosts in (
            ("server", "fleet", [RIGHT]),
            ("broker", "broker", [RIGHT]),
            ("ingest", "fleet-ingest-1", []),
            ("custodian", "fleet", []),
            ("kit-tls", KIT, []),
            ("kit-sign", KIT, []),
            ("officer", OFFICER, []),
        ):
            self._authority.issue(role, name, hosts).write(folder, role)
        make_keys(folder / "service", SERVICE, datetime.now(UTC), timedelta(days=30))
        write_secret(folder / "field.key", secrets.token_bytes(32))
        write_secret(folder / "command.key", key_pem(ec.generate_private_key(ec.SECP256R1())))
        write_whole(folder / "fleet.toml", toml.text(_configuration(folder)).encode())
        (folder / "data").mkdir()
        self._database = Database(f"sqlite:///{folder / 'data' / 'fleet.db'}")
        schema.migrate(self._database)
        with self._database.writing(EVERYONE) as db:
            setup.add(db, _filling(), datetime.now(UTC))
        self._seq = 0
        self._listener: subprocess.Popen[bytes] | None = None

    def start(self, namespace: str) -> None:
        command = [
            "ip",
            "netns",
            "exec",
            namespace,
            sys.executable,
            "-m",
            "server",
            "serve",
            "--only",
            "kits",
        ]
        with (self.folder / "fleet.log").open("ab") as log:
            self._listener = subprocess.Popen(
                [*command, "--config", str(self.folder / "fleet.toml")], stdout=log, stderr=log
            )

    def stop(self) -> None:
        if self._listener is not None:
            self._listener.send_signal(signal.SIGTERM)
            self._listener.wait(20)
        self._database.close()

    def packet(self, size: int) -> tuple[str, bytes]:
        """Id and bytes of a sealed application of about `size` bytes, whose visit the fleet knows."""
        self._seq += 1
        visit = self._plan()
        parts = (
            Part("identity.json", "application/json", b'{"surname":"Peeters"}'),
            Part("photo.jpg", "image/jpeg", b"\xff\xd8" + os.urandom(size - 12_000)),
        )
        list_key = serialization.load_pem_public_key((self.folder / "service" / "list-key.pem").read_bytes())
        assert isinstance(list_key, ec.EllipticCurvePublicKey)
        listed = verify_list(
            (self.folder / "service" / "recipients.jws").read_text(), list_key, datetime.now(UTC)
        )
        kit = self._signer("kit-sign")
        core = Core(
            packet_id=new_ulid(),
            visit_id=visit.visit_id,
            tenant=TENANT,
            service_id=visit.service_id,
            catalogue="c" * 64,
            kit_id=KIT,
            kit_cert_serial=serial_of(kit.chain[0]),
            officer_id=OFFICER,
            created_utc=write_instant(datetime.now(UTC).replace(microsecond=0)),
            seq=self._seq,
            prev=FIRST_PREV if self._seq == 1 else "d" * 64,
            recipients=kids_of(listed.recipients),
            contents=contents_of(parts),
            legal=Legal(reason="be.1991-07-19", retention_until="2030-01-01"),
        )
        sealed = seal(parts, core, listed.recipients, kit, self._signer("officer"))
        return sealed.manifest.packet_id, sealed.data

    def _plan(self) -> Any:
        now = datetime.now(UTC)
        form = _FORM | {"name": f"Persoon {new_ulid()}"}
        fields = FieldKey((self.folder / "field.key").read_bytes())
        with self._database.writing(EVERYONE) as db:
            made = requests.make(db, fields, drafts.read(form, visits.local_day(now)), now)
        clerk = Actor("bench", "bench", "planner", TENANT)
        day = visits.local_day(now) + timedelta(days=self._seq)  # one a day: the officer is free
        starts = datetime.combine(day, time(9), visits.ZONE)
        with self._database.writing(clerk.scope) as db:
            return visits.plan(db, clerk, made.request_id, OFFICER, KIT, starts, 45, now)

    def _signer(self, role: str) -> Signer:
        key = serialization.load_pem_private_key((self.folder / f"{role}.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Signer(key, x509.load_pem_x509_certificates((self.folder / f"{role}.pem").read_bytes()))


def _filling() -> dict[str, Any]:
    return json.loads(
        json.dumps(
            {
                "municipalities": [{"tenant": TENANT, "name": "Brugge", "postcodes": ["8000"]}],
                "officers": [{"id": OFFICER, "name": "An Peeters", "tenant": TENANT}],
                "accounts": [],
                "kits": [{"id": KIT, "bag_recipient": age.generate()[1], "tenants": [TENANT]}],
            }
        )
    )


_FORM: dict[str, Any] = {
    "birth_date": "27/03/1941",
    "national_number": "",
    "phone": "050 12 34 56",
    "street": "Langestraat 17",
    "postcode": "8000",
    "municipality": "Brugge",
    "note": "",
    "language": "nl",
    "half_days": ["mon-am"],
    "evidence": "sworn-statement",
    "requester": "self",
    "requester_name": "",
    "requester_contact": "",
}


def _configuration(folder: Path) -> dict[str, toml.Value]:
    def at(name: str) -> str:
        return str(folder / name)

    names: Sequence[str] = ("ingest.pem", "ingest.key")
    return {
        "data": "data",
        "web": {"port": 8750},
        "kits": {
            "host": RIGHT,
            "port": PORT,
            "certificate": at("server.pem"),
            "key": at("server.key"),
            "client_ca": at("clients.pem"),
            "crl": at("revoked.pem"),
        },
        "mqtt": {
            "host": RIGHT,
            "port": 8883,
            "ca": at("root.pem"),
            "certificate": at(names[0]),
            "key": at(names[1]),
        },
        "trust": {"roots": "trust"},
        "keys": {
            "command_key": at("command.key"),
            "command_kid": "command-1",
            "field_key": at("field.key"),
            "custody_key": at("custodian.key"),
            "custody_certificate": at("custodian.pem"),
        },
        "services": {
            SERVICE: {
                "url": f"https://{RIGHT}:1",
                "ca": at("root.pem"),
                "recipients": at("service/recipients.jws"),
                "list_key": at("service/list-key.pem"),
            }
        },
    }
