"""Which key sources there are, by the name kit.toml calls them: the settings of each, and what it can do.

A new source is one line here. Choosing one speaks to no hardware.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from device.drivers.keys.otp import source as otp_source
from device.drivers.keys.tpm import kit_keys
from device.drivers.keys.tpm import source as tpm_source
from device.drivers.keys.tpm.chip import Chip
from device.errors import Code, KitError, Remedy
from device.ports import KeySource
from device.vault.keysource import FileKeySource

PublicKeys = Mapping[str, ec.EllipticCurvePublicKey]
"""By the role of the certificate that each is to get: kit-sign, kit-tls."""


@dataclass(frozen=True)
class Keys:
    """The chosen source. Where it has no `signing_key` or `tls_key`, those lie in files of their own.

    `make` is the first hour: what the source needs on disk, and the public keys of what it made itself;
    FileExistsError where it was made before."""

    name: str
    source: KeySource
    make: Callable[[], PublicKeys] = field(repr=False)
    signing_key: Callable[[], ec.EllipticCurvePrivateKey] | None = None
    tls_key: Callable[[], bytes] | None = None  # PKCS#8 PEM
    next_tls_key: Callable[[ec.EllipticCurvePublicKey], bytes] | None = None
    """For the next renewal, PEM; told the key of the certificate in use, it first moves up when that is the
    one it gave before."""
    device: Path | None = None  # whoever may open it may ask the source
    handed: Path | None = None
    """Where one program that may ask the device hands its secret to one that may not; `ask` asks."""
    ask: Callable[[], bytes] | None = field(default=None, repr=False)


class FileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


@dataclass(frozen=True)
class Kind:
    settings: type[msgspec.Struct]
    open: Callable[[Any, Path], Keys]


def choose(table: Mapping[str, Any], folder: Path) -> Keys:
    """The source in the table `keys`; paths are relative to `folder`. KitError bad-config names the key."""
    own = dict(table)
    name = own.pop("source", None)
    kind = KNOWN.get(name) if isinstance(name, str) else None
    if kind is None:
        raise _bad(f"keys.source: one of {', '.join(KNOWN)}")
    try:
        settings = msgspec.convert(own, kind.settings)
    except msgspec.ValidationError as wrong:
        raise _bad(f"keys: {wrong}") from wrong
    return kind.open(settings, folder)


def _file(settings: FileSettings, folder: Path) -> Keys:
    path = folder / settings.path

    def make() -> PublicKeys:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        FileKeySource.create(path)
        return {}

    return Keys("file", FileKeySource(path), make)


def _tpm(settings: tpm_source.Settings, folder: Path) -> Keys:
    path, tls, chip = folder / settings.path, folder / settings.tls, Chip(folder / settings.device)
    source = tpm_source.TpmKeySource(chip, path, settings.tries)

    def make() -> PublicKeys:
        for file in (path, tls):
            if file.exists():
                raise FileExistsError(str(file))
        _write(path, tpm_source.make(chip))
        sealed, public = kit_keys.make_tls_key(source)
        _write(tls, sealed)
        return {"kit-sign": source.sign_public(), "kit-tls": public}

    def next_tls_key(in_use: ec.EllipticCurvePublicKey) -> bytes:
        spare = tls.with_name(f"{tls.name}.next")
        if spare.exists() and _public(kit_keys.open_tls_key(source, spare)) == in_use:
            spare.rename(tls)
        if not spare.exists():
            _write(spare, kit_keys.make_tls_key(source)[0])
        return kit_keys.open_tls_key(source, spare)

    return Keys(
        "tpm2",
        source,
        make,
        signing_key=partial(kit_keys.TpmSigningKey, source),
        tls_key=partial(kit_keys.open_tls_key, source, tls),
        next_tls_key=next_tls_key,
        device=chip.device,
    )


def _otp(settings: otp_source.Settings, folder: Path) -> Keys:
    device = folder / settings.device
    fuses = otp_source.OtpKeySource(device)
    handed = folder / settings.handed if settings.handed else None

    def make() -> PublicKeys:
        """Nothing: a key is written into fuses by hand, once for ever. Only that there is one."""
        fuses.device_secret()
        return {}

    is_handed = handed is not None and handed.exists()
    source: KeySource = FileKeySource(handed) if handed is not None and is_handed else fuses
    return Keys("rpi-otp", source, make, device=device, handed=handed, ask=fuses.device_secret)


KNOWN: Mapping[str, Kind] = {
    "file": Kind(FileSettings, _file),
    "tpm2": Kind(tpm_source.Settings, _tpm),
    "rpi-otp": Kind(otp_source.Settings, _otp),
}


def _public(pem: bytes) -> object:
    return serialization.load_pem_private_key(pem, None).public_key()


def _write(path: Path, data: bytes) -> None:
    """A new file for this user alone, on disk when it is left."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _bad(detail: str) -> KitError:
    return KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail)
