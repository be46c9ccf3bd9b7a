"""service.toml of the reference service; paths are relative to the file's folder."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from competent.failure import Failed


class FleetTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fleet, to be asked what it handed over. `certificate`, `key`: PEM, of role `collector`."""

    url: Annotated[str, Meta(pattern=r"^https://[^\s/]+(/\S*)?\Z")]
    ca: str
    certificate: str
    key: str


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`client_ca`: PEM; when set, only a client with a certificate it issued to an `ingest` is served.

    `trust`: folder of root certificates of kits and officers. `keys`: what `python -m competent.keys` made.
    `data`: where the ledger lies. `keep`: folder for opened parts; empty (the default) keeps none."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)]
    certificate: str
    key: str
    client_ca: str = ""
    trust: str
    keys: str
    data: str
    control_token: Annotated[str, Meta(min_length=16, max_length=200)]
    keep: str = ""
    fleet: FleetTable | None = None


def read_settings(path: Path) -> Settings:
    """Failed bad-config, naming the place."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        settings = msgspec.convert(table, Settings)
    except OSError as problem:
        raise Failed("bad-config", f"{path.name}: {problem.strerror}") from problem
    except (ValueError, msgspec.ValidationError) as problem:
        raise Failed("bad-config", f"{path.name}: {problem}") from problem
    places = ("certificate", "key", "client_ca", "trust", "keys", "data", "keep")
    fleet = settings.fleet
    if fleet is not None:
        fleet = msgspec.structs.replace(fleet, **_absolute(fleet, path, ("ca", "certificate", "key")))
    return msgspec.structs.replace(settings, fleet=fleet, **_absolute(settings, path, places))


def _absolute(table: msgspec.Struct, path: Path, places: tuple[str, ...]) -> dict[str, str]:
    return {name: str(path.absolute().parent / value) for name in places if (value := getattr(table, name))}
