"""The shape of fleet.toml, one struct a table. Pure: `server/config.py` reads the file.

A Struct's constructor does not validate; decoding does. Paths are absolute once read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]
Text = Annotated[str, Meta(min_length=1)]


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are refused."""


class DatabaseTable(Table, frozen=True, kw_only=True):
    """`url` as SQLAlchemy writes it; empty: SQLite, `fleet.db` in the data folder.

    `owner_url`: as who `migrate` makes and changes the tables, where that is another role (PostgreSQL). The
    role of `url` may then work with rows only."""

    url: str = ""
    owner_url: str = ""


class Web(Table, frozen=True, kw_only=True):
    """The pages. `secure_cookies`: wherever they are behind HTTPS, so everywhere but on loopback.

    `proxies`: how many reverse proxies of ours stand before us and say who asks (X-Forwarded-For)."""

    host: Text = "127.0.0.1"
    port: Port = 8750
    secure_cookies: bool = False
    proxies: Annotated[int, Meta(ge=0, le=5)] = 0
    metrics_token: Path | None = None  # file with the bearer token that may read /metrics


class Kits(Table, frozen=True, kw_only=True):
    """The listener for kits, mutual TLS. `client_ca`: PEM bundle of what kits' certificates lead to."""

    host: Text = "127.0.0.1"
    port: Port = 8751
    certificate: Path
    key: Path
    client_ca: Path
    crl: Path | None = None


class Mqtt(Table, frozen=True, kw_only=True):
    """The broker. `client_id` is the CN of the certificate and never changes, so that the session is kept."""

    host: Text
    port: Port
    ca: Path
    certificate: Path
    key: Path
    client_id: Annotated[str, Meta(pattern=r"^[a-z0-9-]{4,32}\Z")] = "fleet-ingest-1"


class Broker(Table, frozen=True, kw_only=True):
    """The broker as something the fleet manages. `certificate`: of `fleet-admin`; `configuration`:
    mosquitto.conf; `release`: folder that `thuisloket-provision ca release` writes; `authority`: the issuing
    CAs, where they are on this machine; `reload`: instead of a SIGHUP to the process in the configuration's
    `pid_file`; `check_every_s`: how often the job worker checks the broker, 0 for once a night;
    `watch_every_s`: how often it asks whether the broker answers; `restart`: the command that starts the
    broker again when it does not, three times in a row."""

    certificate: Path
    key: Path
    configuration: Path
    release: Path
    authority: Path | None = None
    reload: tuple[Text, ...] = ()
    check_every_s: Annotated[int, Meta(ge=0, le=86_400)] = 0
    watch_every_s: Annotated[int, Meta(ge=1, le=3600)] = 30
    restart: tuple[Text, ...] = ()


class Trust(Table, frozen=True, kw_only=True):
    """`roots`: folder of PEM or DER root certificates that kits' and officers' signatures must lead to."""

    roots: Path


class Keys(Table, frozen=True, kw_only=True):
    """`command_key`: PEM, P-256, signs day bags. `field_key`: 32 bytes, encrypts personal data.

    `custody_key`: PEM, P-256, signs chains of custody; `custody_certificate`: PEM, of role `custodian`, with
    its issuer."""

    command_key: Path
    command_kid: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
    field_key: Path
    custody_key: Path
    custody_certificate: Path


class Sftp(Table, frozen=True, kw_only=True):
    """A service's drop folder. `key`: OpenSSH private key, ours alone; `known_hosts`: the server's key."""

    host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}\Z")]
    port: Port = 22
    user: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")]
    key: Path
    known_hosts: Path
    folder: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._][A-Za-z0-9._/-]{0,200}\Z")] = "."


Collector = Annotated[str, Meta(pattern=r"^([a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?)?\Z")]


class Pickup(Table, frozen=True, kw_only=True):
    """A service that fetches. `collector`: the name in its certificate of role `collector`."""

    collector: Annotated[str, Meta(pattern=r"^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?\Z")]


class Service(Table, frozen=True, kw_only=True):
    """A competent service, reached by exactly one of `url` (with `ca`, and `certificate` and `key` for mutual
    TLS), `sftp` and `pickup`. `recipients`: its signed list, which names its receipt keys; `list_key`: PEM.

    `reconciler`: the name in a certificate of role `collector`, for a service without `pickup` that compares
    what it has with what we say. `municipalities`: another arrangement for some, by tenant."""

    url: Annotated[str, Meta(pattern=r"^(https://[^\s/]+(/\S*)?)?\Z")] = ""
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    sftp: Sftp | None = None
    pickup: Pickup | None = None
    reconciler: Collector = ""
    recipients: Path
    list_key: Path
    municipalities: dict[Annotated[str, Meta(pattern=r"^[0-9]{10}\Z")], "Service"] = {}

    def __post_init__(self) -> None:
        ways = [way for way in (self.url, self.sftp, self.pickup) if way]
        if len(ways) != 1:
            raise ValueError("a service has one of url, sftp and pickup")
        if self.pickup is not None and self.reconciler:
            raise ValueError("a service with pickup needs no reconciler: its collector may ask as well")
        if self.url and self.ca is None:
            raise ValueError("a service with a url has a ca")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if any(own.municipalities for own in self.municipalities.values()):
            raise ValueError("a municipality's arrangement has none of its own below it")


def lines(services: Mapping[str, Service]) -> Iterator[tuple[str, Service]]:
    """Every service, and every municipality's own way to one as `service id/tenant`."""
    for service_id, service in services.items():
        yield service_id, service
        for tenant, own in service.municipalities.items():
            yield f"{service_id}/{tenant}", own


class Lease(Table, frozen=True, kw_only=True):
    """How long a kit that is not online stays open, and for how many new visits."""

    hours: Annotated[int, Meta(ge=1, le=168)] = 48
    visits: Annotated[int, Meta(ge=1, le=100)] = 12


class Fleet(Table, frozen=True, kw_only=True):
    """The whole of fleet.toml."""

    data: Path
    mode: Literal["trial", "production"] = "trial"  # production: only with a broker that passes its check
    language: Annotated[str, Meta(pattern=r"^(nl|fr|de|en)\Z")] = "nl"
    database: DatabaseTable = DatabaseTable()
    web: Web = Web()
    kits: Kits
    mqtt: Mqtt
    broker: Broker | None = None
    trust: Trust
    keys: Keys
    lease: Lease = Lease()
    services: dict[str, Service]

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.data / 'fleet.db'}"
