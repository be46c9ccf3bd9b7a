"""Kit folders: what a kit needs to run (configuration, certificates, trust, secret), made, renewed, retired.

A kit folder is used where it lies for development and the demo; for a real kit it is what is copied onto it.
"""

import json
import secrets
import shutil
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.identity import KIT_ID
from provisioning import recovery, toml
from provisioning.ca import Authority
from provisioning.certificates import key_pem
from provisioning.durable import write_whole
from provisioning.program import ProgramRefused, run

ROLES = ("kit-tls", "kit-sign")
IN_A_FILE: dict[str, str | int] = {"source": "file", "path": "certs/device-secret"}
TLS_KEY = "certs/kit-tls.key"


class KitFolderError(ProgramRefused):
    """A kit folder could not be made or changed; the message is fit for a person."""


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`site.toml`: what is the same for every kit of a fleet. Paths are relative to the file's own folder."""

    mqtt_host: str
    mqtt_port: int
    https: str
    cards: str  # folder of root certificates of identity cards
    recipients: str
    list_key: str
    command_key: str
    drivers: dict[str, dict[str, str | int]]
    kiosk_port: int = 8740
    test_cards: bool = False  # `cards` holds roots that are not Belgium's: a demo, and it says TEST
    catalogue: str = ""  # folder of the catalogue's entries that differ from the shipped ones
    language: str = "nl"
    health_every_s: int = 60
    sys: str = "/sys"
    keys: dict[str, str | int] = msgspec.field(default_factory=lambda: dict(IN_A_FILE))  # as in kit.toml
    sticks: str = ""  # a folder whose folders stand for USB sticks: a demo
    tls_key: str = TLS_KEY  # with a TPM: a place in memory, where `keys lay-out` puts it


@dataclass(frozen=True)
class NewOfficer:
    """Somebody who may unlock the kit; the PIN is handed over on paper and kept nowhere."""

    officer_id: str
    name: str
    pin: str


@dataclass(frozen=True)
class Added:
    folder: Path
    bag_recipient: str  # age1pq1...: to this the fleet seals the day bag


def read_site(path: Path) -> Site:
    """KitFolderError when the file is not there or not as `Site` says."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Site)
    except OSError as problem:
        raise KitFolderError(f"{path}: {problem.strerror}") from problem
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise KitFolderError(f"{path}: {problem}") from problem


def new_pin() -> str:
    """Six digits by chance; none of those that a kit refuses because they are guessed first."""
    while True:
        pin = f"{secrets.randbelow(10**6):06d}"
        steps = {int(after) - int(before) for before, after in pairwise(pin)}
        if not (len(steps) == 1 and steps <= {-1, 0, 1}):
            return pin


def add(
    kits: Path, kit_id: str, authority: Authority, site: Site, beside: Path, officers: Sequence[NewOfficer]
) -> Added:
    """Make `kits`/`kit_id` and its store with these officers. `beside` is the folder of the site's paths.

    A folder that could not be finished is taken away again, and its certificates are revoked."""
    if KIT_ID.fullmatch(kit_id) is None:
        raise KitFolderError(f"{kit_id!r} is not a name for a kit: kit- and small letters, digits, dashes")
    if not officers:
        raise KitFolderError("a kit needs at least one officer")
    folder = kits / kit_id
    if folder.exists():
        raise KitFolderError(f"{folder} is there already")
    certificates: list[x509.Certificate] = []
    try:
        _write_trust(folder / "trust", authority, site, beside)
        if site.catalogue:
            shutil.copytree(beside / site.catalogue, folder / "catalogue")
        write_whole(folder / "kit.toml", toml.text(_configuration(kit_id, site)).encode())
        held = _make_keys(folder)
        for role in ROLES:
            leaf = (
                authority.certify(role, kit_id, held[role]) if role in held else authority.issue(role, kit_id)
            )
            certificates.append(leaf.certificate)
            leaf.write(folder / "certs", role)
        return Added(folder, _open_store(folder, authority, officers))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for certificate in certificates:
            authority.revoke(f"{certificate.serial_number:x}", "cessation-of-operation")
        raise


def renew(kits: Path, kit_id: str, authority: Authority) -> None:
    """Fresh keys and certificates for a kit that stands still; the old certificates are revoked.

    A key that the kit's TPM holds stays, and gets a new certificate."""
    folder = _existing(kits, kit_id)
    for role in ROLES:
        old = _certificate(folder, role)
        stays = not (folder / "certs" / f"{role}.key").exists()  # the kit's TPM has it
        leaf = authority.certify(role, kit_id, _public(old)) if stays else authority.issue(role, kit_id)
        leaf.write(folder / "certs", role)
        authority.revoke(f"{old.serial_number:x}", "superseded")


def retire(kits: Path, kit_id: str, authority: Authority) -> None:
    """Revoke the kit's certificates. Its folder stays: sealed applications may wait in it."""
    folder = _existing(kits, kit_id)
    for role in ROLES:
        authority.revoke(f"{_certificate(folder, role).serial_number:x}", "cessation-of-operation")


def refuse(fleet_config: Path, kit_id: str, what: Literal["lost", "retire"], lists: Path, json: bool) -> str:
    """Let the fleet refuse the kit everywhere, with the lists in the folder `lists`; what it tells of each
    effect.
    """
    arguments = ["kit", what, "--config", str(fleet_config), kit_id, "--release", str(lists)]
    return run("server", arguments + (["--json"] if json else []))


@dataclass(frozen=True)
class KitLine:
    kit_id: str
    until: str  # the day its first certificate ends
    revoked: bool


def listed(kits: Path, authority: Authority) -> list[KitLine]:
    """The kits of this folder, by name."""
    gone = {entry.serial for entry, revoked in authority.issued() if revoked}
    lines = []
    for folder in sorted(path.parent for path in kits.glob("*/kit.toml")):
        kit_id = tomllib.loads((folder / "kit.toml").read_text())["kit_id"]
        leaves = [_certificate(folder, role) for role in ROLES]
        lines.append(
            KitLine(
                kit_id,
                min(leaf.not_valid_after_utc for leaf in leaves).date().isoformat(),
                any(f"{leaf.serial_number:x}" in gone for leaf in leaves),
            )
        )
    return lines


def register(
    fleet_config: Path, kit_id: str, bag_recipient: str, tenants: Sequence[str], officers: Sequence[str] = ()
) -> None:
    """Tell the fleet of a new kit, whom it serves and who may open it. The fleet knows the officers."""
    arguments = [kit_id, "--bag-recipient", bag_recipient]
    for tenant in tenants:
        arguments += ["--tenant", tenant]
    for officer_id in officers:
        arguments += ["--officer", officer_id]
    run("server", ["kit", "add", "--config", str(fleet_config), *arguments])


def report_missing(fleet_config: Path, kit_id: str) -> None:
    """Tell the fleet to hand out no lease any more: the kit closes by itself."""
    run("server", ["kit", "missing", "--config", str(fleet_config), kit_id])


def report_found(fleet_config: Path, kit_id: str) -> None:
    """Tell the fleet that a missing kit is back."""
    run("server", ["kit", "found", "--config", str(fleet_config), kit_id])


def _existing(kits: Path, kit_id: str) -> Path:
    folder = kits / kit_id
    if KIT_ID.fullmatch(kit_id) is None or not (folder / "kit.toml").is_file():
        raise KitFolderError(f"no kit {kit_id!r} in {kits}")
    return folder


def _certificate(folder: Path, role: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "certs" / f"{role}.pem").read_bytes())


def _write_trust(trust: Path, authority: Authority, site: Site, beside: Path) -> None:
    try:
        for source, name in (
            (site.recipients, "recipients.jws"),
            (site.list_key, "list-key.pem"),
            (site.command_key, "command-key.pem"),
        ):
            write_whole(trust / name, (beside / source).read_bytes())
        cards = [path for path in sorted((beside / site.cards).iterdir()) if path.is_file()]
        for card in cards:
            write_whole(trust / "cards" / card.name, card.read_bytes())
    except OSError as problem:
        raise KitFolderError(f"{problem.filename}: {problem.strerror}") from problem
    if not cards:
        raise KitFolderError(f"{beside / site.cards}: no root certificate of identity cards in it")
    write_whole(trust / "fleet-ca.pem", authority.bundle("root"))
    write_whole(trust / "recovery-key.pem", recovery.public_pem(authority.folder))


def _configuration(kit_id: str, site: Site) -> Mapping[str, toml.Value]:
    in_tpm = site.keys.get("source") == "tpm2"
    return {
        "kit_id": kit_id,
        "data": "data",
        "language": site.language,
        **({"catalogue": "catalogue"} if site.catalogue else {}),
        "kiosk": {"port": site.kiosk_port},
        "fleet": {
            "mqtt_host": site.mqtt_host,
            "mqtt_port": site.mqtt_port,
            "https": site.https,
            "ca": "trust/fleet-ca.pem",
            "certificate": "certs/kit-tls.pem",
            "key": site.tls_key,
        },
        "signing": {"certificate": "certs/kit-sign.pem"} | ({} if in_tpm else {"key": "certs/kit-sign.key"}),
        "trust": {
            "cards": "trust/cards",
            **({"test_cards": True} if site.test_cards else {}),
            "recipients": "trust/recipients.jws",
            "list_key": "trust/list-key.pem",
            "command_key": "trust/command-key.pem",
            "recovery_key": "trust/recovery-key.pem",
            "officers": "trust/fleet-ca.pem",
        },
        "keys": site.keys,
        "drivers": site.drivers,
        "lease": {"from_fleet": True},
        **({"courier": {"media": site.sticks, "folders": True}} if site.sticks else {}),
        "health": {"every_s": site.health_every_s, "sys": site.sys},
    }


def _make_keys(folder: Path) -> Mapping[str, ec.EllipticCurvePublicKey]:
    """Let the kit's own program make its keys; those that stay with it, by role, to be certified."""
    told = json.loads(run("device", ["keys", "make", "--config", str(folder / "kit.toml")]))
    return {role: _p256(serialization.load_pem_public_key(pem.encode())) for role, pem in told.items()}


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    return _p256(certificate.public_key())


def _p256(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise KitFolderError("a kit's key is not an elliptic curve key")
    return key


def _open_store(folder: Path, authority: Authority, officers: Sequence[NewOfficer]) -> str:
    """Let the kit's own program make its store; it answers the recipient of its day bag."""
    roster = []
    for officer in officers:
        leaf = authority.issue("officer", officer.officer_id)
        roster.append(
            {
                "officer_id": officer.officer_id,
                "name": officer.name,
                "pin": officer.pin,
                "key_pem": key_pem(leaf.key).decode(),
                "cert_pem": leaf.chain_pem.decode(),
            }
        )
    told = run("device", ["init", "--config", str(folder / "kit.toml"), "--json"], json.dumps(roster))
    return str(json.loads(told)["bag_recipient"])
