"""`thuisloket-kit keys`: the first hour of a key source, and the uplink's key laid out in memory."""

import grp
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.config import load
from device.errors import Code, KitError, Refused, Remedy

keys = typer.Typer(no_args_is_help=True, help="The kit's own keys and where they lie.")

ConfigFile = Annotated[Path, typer.Option("--config", help="kit.toml", dir_okay=False)]
MOUNTS = Path("/proc/self/mountinfo")
_IN_MEMORY = {"tmpfs", "ramfs"}


@keys.command()
def make(config: ConfigFile) -> None:
    """Make what the key source needs, once, and print the public keys it wants certificates for: JSON of PEM.

    None for a source that has no keys of its own: then the authority makes them."""
    try:
        made = load(config).keys.make()
    except FileExistsError as problem:
        raise Refused(Code.NOT_NOW, f"the keys were made before: {problem}") from problem
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    told = {role: key.public_bytes(*form).decode() for role, key in made.items()}
    sys.stdout.write(json.dumps(told) + "\n")


@keys.command()
def lay_out(
    config: ConfigFile,
    group: Annotated[str, typer.Option(help="that may read it as well: the uplink's")] = "",
) -> None:
    """Write what the key source has for other programs where the configuration says; before they start.

    The uplink's TLS key (`fleet.key`), and beside it, once the kit has its certificate, the key for the next
    renewal; the secret of the fuses (`keys.handed`), for an agent that may not ask them itself. The places
    must be in memory, so that no key is ever on a disk in the clear."""
    settings = load(config)
    if settings.keys.handed is not None and settings.keys.ask is not None:
        _check_place("keys.handed", settings.keys.handed)
        _write(settings.keys.handed, settings.keys.ask(), "")
    if settings.keys.tls_key is None:
        sys.stderr.write("the key source keeps no TLS key: fleet.key is a file of its own\n")
        return
    place = settings.uplink.key
    _check_place("fleet.key", place)
    spare = None
    in_use = _in_use(settings.uplink.held().present().certificate)
    if settings.keys.next_tls_key is not None and in_use is not None:
        spare = settings.keys.next_tls_key(in_use)
    _write(place, settings.keys.tls_key(), group)
    if spare is not None:
        _write(place.with_name(f"next-{place.name}"), spare, group)


def _check_place(setting: str, place: Path) -> None:
    if not in_memory(place.parent):
        detail = f"{setting}: {place.parent} must be a folder in memory (tmpfs)"
        raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail)


def _in_use(certificate: Path) -> ec.EllipticCurvePublicKey | None:
    """Its key; None as long as the kit has no certificate."""
    try:
        key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    except (OSError, ValueError):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def in_memory(folder: Path) -> bool:
    """Whether what is written in `folder` stays in memory: the file system it lies on, proc(5)."""
    try:
        device = folder.stat().st_dev
    except OSError:
        return False
    named = f"{os.major(device)}:{os.minor(device)}"
    for line in MOUNTS.read_text().splitlines():
        ours, _, rest = line.partition(" - ")
        if ours.split(" ")[2] == named:
            return rest.split(" ")[0] in _IN_MEMORY
    return False


def _write(place: Path, key: bytes, group: str) -> None:
    unfinished = place.with_name(f".{place.name}.new")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        if group:
            try:
                os.fchown(handle, -1, grp.getgrnam(group).gr_gid)
            except (KeyError, PermissionError) as problem:
                detail = f"--group {group}: no such group, or not one of ours"
                raise KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail) from problem
            os.fchmod(handle, 0o640)
        file.write(key)
    unfinished.rename(place)
