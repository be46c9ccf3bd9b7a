"""Which drivers there are, by the name kit.toml calls them: the settings each takes, and how it is opened.

A new driver is one line here. Opening touches no hardware and is repeated after a peripheral was gone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from device.drivers.camera import folder, worker
from device.drivers.eid import settings as eid
from device.drivers.eid.driver import open_reader
from device.drivers.eid.trust import TrustStore, load_trust
from device.drivers.fingerprint import sfm
from device.drivers.signpad import topaz
from device.errors import Code, KitError, Remedy
from device.ports import Camera, EidReader, FingerprintScanner, SignaturePad

P_co = TypeVar("P_co", covariant=True)


@dataclass(frozen=True)
class Site:
    """Where the kit is: the folder that relative paths mean, and that of the trusted roots of cards."""

    folder: Path
    cards: Path
    test_cards: bool = False  # roots that are not Belgium's are let in, and every screen says TEST


@dataclass(frozen=True)
class Driver(Generic[P_co]):
    """`place` names the setting that is a path, relative to the folder of kit.toml."""

    settings: type[msgspec.Struct]
    open: Callable[[Any, Site], P_co]
    place: str = ""


@dataclass(frozen=True)
class Drivers:
    """How to open the four that were chosen, their settings checked."""

    card: Callable[[], EidReader]
    camera: Callable[[], Camera]
    fingerprint: Callable[[], FingerprintScanner]
    signature: Callable[[], SignaturePad]


def _roots(site: Site) -> TrustStore:
    return load_trust(site.cards, test=site.test_cards)


CARD: Mapping[str, Driver[EidReader]] = {
    "pcsc": Driver(
        eid.Settings,
        lambda settings, site: open_reader(settings, load_trust(site.cards, test=site.test_cards)),
    ),
}
CAMERA: Mapping[str, Driver[Camera]] = {
    "folder": Driver(folder.Settings, lambda settings, site: folder.open_driver(settings), "path"),
    "picamera": Driver(worker.Settings, lambda settings, site: worker.open_driver(settings)),
}
FINGERPRINT: Mapping[str, Driver[FingerprintScanner]] = {
    "suprema-sfm": Driver(sfm.Settings, lambda settings, site: sfm.open_driver(settings), "port"),
}
SIGNATURE: Mapping[str, Driver[SignaturePad]] = {
    "topaz-siglite": Driver(topaz.Settings, lambda settings, site: topaz.open_driver(settings), "port"),
}

P = TypeVar("P")


def choose(tables: Mapping[str, Mapping[str, Any]], site: Site) -> Drivers:
    """The drivers named in the tables `card`, `camera`, `fingerprint` and `signature`.

    KitError bad-config names the table and the key that will not do."""
    return Drivers(
        card=_chosen("card", CARD, tables["card"], site),
        camera=_chosen("camera", CAMERA, tables["camera"], site),
        fingerprint=_chosen("fingerprint", FINGERPRINT, tables["fingerprint"], site),
        signature=_chosen("signature", SIGNATURE, tables["signature"], site),
    )


def _chosen(
    what: str, known: Mapping[str, Driver[P]], table: Mapping[str, Any], site: Site
) -> Callable[[], P]:
    own = dict(table)
    name = own.pop("driver", None)
    driver = known.get(name) if isinstance(name, str) else None
    if driver is None:
        raise _bad(f"drivers.{what}.driver: one of {', '.join(known)}")
    try:
        settings = msgspec.convert(own, driver.settings)
    except msgspec.ValidationError as wrong:
        raise _bad(f"drivers.{what}: {wrong}") from wrong
    if driver.place:
        where = str(site.folder / getattr(settings, driver.place))
        settings = msgspec.structs.replace(settings, **{driver.place: where})
    return partial(driver.open, settings, site)


def _bad(detail: str) -> KitError:
    return KitError(Code.BAD_CONFIG, Remedy.WORKSHOP, detail)
