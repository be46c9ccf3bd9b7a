"""What the demo makes once and keeps: authority, keys of the service, identity cards, fingers."""

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from provisioning import toml
from provisioning.ca import Authority
from provisioning.demo.cast import CITIZENS, Citizen
from provisioning.demo.layout import SERVICE, Layout
from provisioning.durable import write_whole

FINGER_SEED, FINGERS, TOUCHES = 26, 4, 2
TAMPERED, CLONE = "tampered", "clone"


class PropFailed(Exception):
    """A program that makes a prop failed; the text has what it complained of."""


def make(layout: Layout, citizens: Sequence[Citizen] = CITIZENS) -> Authority:
    """Make what is missing, with a card for each citizen; what is there stays. The demo's authority."""
    layout.root.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as side_by_side:
        jobs = [
            side_by_side.submit(_fingers, layout),
            side_by_side.submit(_cards, layout, citizens),
            side_by_side.submit(_service_keys, layout),
        ]
        authority = _authority(layout)
        for job in jobs:
            job.result()
    return authority


def run(module: str, *arguments: str | Path, told: str = "") -> str:
    """One of the project's own programs; what it prints. PropFailed."""
    ran = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        input=told,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise PropFailed(f"{module} {' '.join(map(str, arguments[:2]))}: {ran.stderr.strip()[-2000:]}")
    return ran.stdout


def _authority(layout: Layout) -> Authority:
    if not (layout.ca / "root" / "certificate.pem").exists():
        return Authority.create(layout.ca, "Thuisloket Demo")
    authority = Authority(layout.ca)
    authority.write_crls()  # a list of last month would shut every kit out
    return authority


def _service_keys(layout: Layout) -> None:
    """Keys stay; the recipient list is issued anew, so that it never runs out."""
    run("competent.keys", "--out", layout.service_keys, "--service", SERVICE, "--test")


def _fingers(layout: Layout) -> None:
    how = ["--seed", str(FINGER_SEED), "--count", str(FINGERS), "--touches", str(TOUCHES)]
    _once(layout.fingers, ["make-fingers", "--out", layout.fingers, *how])


def _cards(layout: Layout, citizens: Sequence[Citizen]) -> None:
    """A card for everybody, and two of the first citizen's that a kit must not accept."""
    for citizen in citizens:
        _card(layout, citizen, citizen.key)
    _card(layout, citizens[0], TAMPERED, "identity-tampered")
    _card(layout, citizens[0], CLONE, "clone")


def _card(layout: Layout, citizen: Citizen, name: str, *defects: str) -> None:
    specification = toml.text(
        {
            "generation": citizen.generation,
            "defects": defects,
            "identity": {
                "surname": citizen.surname,
                "first_names": citizen.first_names,
                "birth_place": citizen.birth_place,
                "birth_date": citizen.born,
                "sex": citizen.sex,
                "national_number": citizen.national_number,
                "delivery_municipality": citizen.municipality,
            },
            "address": {
                "street": citizen.street,
                "postcode": citizen.postcode,
                "municipality": citizen.municipality,
            },
        }
    )
    path = layout.cards / f"{name}.toml"
    if path.exists() and path.read_text() == specification and (layout.cards / name / "atr.bin").exists():
        return
    write_whole(path, specification.encode())
    run("device.emulators", "make-card", path, "--out", layout.cards / name, "--pki", layout.card_pki)


def _once(folder: Path, arguments: Sequence[str | Path]) -> None:
    """Let an emulator program fill `folder`, unless a run that ended well has done so already."""
    mark = folder / ".made.json"
    made_by = json.dumps([str(argument) for argument in arguments])
    if mark.exists() and mark.read_text() == made_by:
        return
    run("device.emulators", *arguments)
    mark.write_text(made_by)
