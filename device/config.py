"""kit.toml into frozen values: unknown keys are refused with their place, paths are relative to the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from device import keysources
from device.drivers import registry
from device.errors import Code, KitError, Remedy
from device.spool.credentials import Credentials, Papers
from device.spool.sticks import Sticks
from device.uplink.settings import UplinkSettings
from protocol.catalogue import BadCatalogue, Entry, in_force
from protocol.identity import KIT_ID

LIMIT = 65_536
"""Longest kit.toml that is read, in bytes."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file, as it is written; paths are still text."""


class Kiosk(Table, frozen=True):
    port: Port = 8740
    idle_lock_s: Annotated[int, msgspec.Meta(ge=10, le=3600)] = 300


class Fleet(Table, frozen=True):
    """Addresses and certificates of the uplink, and of nobody else."""

    mqtt_host: Text
    mqtt_port: Port
    https: Annotated[str, msgspec.Meta(pattern=r"^https://[^/?#\s]{1,255}/?$")]
    ca: Text
    certificate: Text
    key: Text
    mqtt_version: Literal["auto", "5", "3.1.1"] = "auto"


class Signing(Table, frozen=True):
    certificate: Text
    key: Text | None = None  # None: the key source has it


class Trust(Table, frozen=True):
    cards: Text
    recipients: Text
    list_key: Text
    command_key: Text
    test_cards: bool = False  # roots other than Belgium's are let in: for demos, which say TEST everywhere
    recovery_key: str = ""  # who may make unlock codes for officers; empty: nobody
    officers: str = ""  # what certificates of officers let in from afar lead to; empty: nobody is


class Health(Table, frozen=True):
    every_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 60
    sys: Text = "/sys"


class Retention(Table, frozen=True):
    """Policy of the municipality; what the law says is not up to a file."""

    drafts_days: Annotated[int, msgspec.Meta(ge=1, le=89)] = 14


class Lease(Table, frozen=True):
    """`from_fleet`: the store opens only with a share that the fleet hands out, so that a lost kit closes."""

    from_fleet: bool = False


class Courier(Table, frozen=True):
    """`media`: the folder in which the system mounts sticks. `folders`: plain folders in it count too."""

    media: Text = "/media/thuisloket"
    folders: bool = False


class Drivers(Table, frozen=True):
    """Each names its driver; the other keys are that driver's own settings."""

    card: dict[str, Any]
    camera: dict[str, Any]
    fingerprint: dict[str, Any]
    signature: dict[str, Any]


class File(Table, frozen=True):
    kit_id: Text
    data: Text
    fleet: Fleet
    signing: Signing
    trust: Trust
    keys: dict[str, Any]  # `source` names it; the other keys are that source's own settings
    drivers: Drivers
    catalogue: str = ""  # folder of entries that come in the place of the shipped ones, or beside them
    language: Literal["nl", "fr", "de", "en"] = "nl"
    kiosk: Kiosk = Kiosk()
    health: Health = Health()
    retention: Retention = Retention()
    lease: Lease = Lease()
    courier: Courier = Courier()


@dataclass(frozen=True)
class Config:
    """The whole kit; every path absolute, every driver chosen and its settings checked."""

    kit_id: str
    data: Path
    language: str
    kiosk: Kiosk
    uplink: UplinkSettings
    sign_certificate: Path  # that the kit came with; `signing` knows the one in use
    sign_key: Path | None  # None: the key source has it
    signing_key: Callable[
        [], Path | ec.EllipticCurvePrivateKey
    ]  # its file, or the key where it lies elsewhere
    trust_recipients: Path
    trust_list_key: Path
    trust_command_key: Path
    trust_recovery_key: Path | None
    trust_officers: Path | None
    keys: keysources.Keys
    drivers: registry.Drivers
    health_every_s: int
    health_sys: Path
    lease_from_fleet: bool
    drafts: timedelta  # an unfinished visit may stay so long
    catalogue: Mapping[str, Entry]  # by service id
    sticks: Sticks

    def signing(self) -> Credentials:
        """The signing certificate in use, with its key where that is a file."""
        given = Papers(self.sign_certificate, self.sign_key or self.sign_certificate, self.uplink.ca)
        return Credentials(self.data / "signing", given, "agent")

    @property
    def vault(self) -> Path:
        return self.data / "vault.db"

    @property
    def spool(self) -> Path:
        return self.data / "spool"


def load(path: Path) -> Config:
    """The configuration in `path`; KitError bad-config names the place of what is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT + 1)
    except OSError as problem:
        raise _bad(f"{path}: {problem.strerror}") from problem
    if len(data) > LIMIT:
        raise _bad(f"{path}: longer than {LIMIT} bytes")
    return settle(read(data), path.absolute().parent)


def read(data: bytes) -> File:
    try:
        return msgspec.toml.decode(data, type=File)
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise _bad(str(wrong)) from wrong


def settle(file: File, folder: Path) -> Config:
    """`file` with its relative paths under `folder` and its drivers chosen."""
    if not KIT_ID.fullmatch(file.kit_id):
        raise _bad("kit_id: not a kit's name")
    data = folder / file.data
    keys = keysources.choose(file.keys, folder)
    site = registry.Site(folder, folder / file.trust.cards, file.trust.test_cards)
    chosen: Mapping[str, Any] = {
        name: getattr(file.drivers, name) for name in ("card", "camera", "fingerprint", "signature")
    }
    return Config(
        kit_id=file.kit_id,
        data=data,
        language=file.language,
        kiosk=file.kiosk,
        uplink=UplinkSettings(
            kit_id=file.kit_id,
            spool=data / "spool",
            mqtt_host=file.fleet.mqtt_host,
            mqtt_port=file.fleet.mqtt_port,
            mqtt_version=file.fleet.mqtt_version,
            https=file.fleet.https,
            ca=folder / file.fleet.ca,
            certificate=folder / file.fleet.certificate,
            key=folder / file.fleet.key,
            makes_keys=keys.tls_key is None,
        ),
        sign_certificate=folder / file.signing.certificate,
        sign_key=folder / file.signing.key if file.signing.key is not None else None,
        signing_key=_signing_key(file, folder, keys),
        trust_recipients=folder / file.trust.recipients,
        trust_list_key=folder / file.trust.list_key,
        trust_command_key=folder / file.trust.command_key,
        trust_recovery_key=folder / file.trust.recovery_key if file.trust.recovery_key else None,
        trust_officers=folder / file.trust.officers if file.trust.officers else None,
        keys=keys,
        drivers=registry.choose(chosen, site),
        health_every_s=file.health.every_s,
        health_sys=folder / file.health.sys,
        lease_from_fleet=file.lease.from_fleet,
        drafts=timedelta(days=file.retention.drafts_days),
        catalogue=_catalogue(folder / file.catalogue if file.catalogue else None),
        sticks=Sticks(folder / file.courier.media, folders=file.courier.folders),
    )


def _catalogue(folder: Path | None) -> Mapping[str, Entry]:
    try:
        return in_force(folder)
    except BadCatalogue as problem:
        raise _bad(f"catalogue: {problem}") from problem


def _signing_key(
    file: File, folder: Path, keys: keysources.Keys
) -> Callable[[], Path | ec.EllipticCurvePrivateKey]:
    named = file.signing.key
    if named is not None:
        return lambda: folder / named
    if keys.signing_key is None:
        raise _bad(f"signing.key: missing, and the key source {keys.name} has none")
    return keys.signing_key


def _bad(detail: str) -> KitError:
    return KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail)
