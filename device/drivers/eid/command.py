"""`thuisloket-kit read-card`: one card to one JSON object (or a few lines), and an exit code.

0 verified or weak; 3 rejected, or no Belgian eID; 4 no reader, no card, or pulled while reading; 1 could not
be read for another reason (mute, reader in use, trust folder).
"""

import json
import sys
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

from device.drivers.eid.driver import open_reader
from device.drivers.eid.settings import Settings
from device.drivers.eid.trust import load_trust
from device.errors import Code, KitError
from device.ports import Capture, CardReader, CardReading, Identity

DONE, FAILED, REFUSED, ABSENT = 0, 1, 3, 4
READ_S = 60.0
LOOK_S = 0.1
LEAST_WAIT_S = 1.0  # pcscd sees a card just put in within half a second, and then powers it up
FIELDS_OF_IDENTITY = Identity.__dataclass_fields__
GONE = frozenset({Code.NO_READER, Code.NO_CARD, Code.CARD_REMOVED, Code.PERIPHERAL_ABSENT})


def read_card_command(reader: str, trust: Path, wait: float, as_json: bool) -> int:
    """Read a card in the reader of that name (or that begins so; empty: any) against the roots in `trust`."""
    try:
        store = load_trust(trust)
    except KitError as error:
        return _fail(error, as_json)
    opened = open_reader(Settings(reader=reader), store)
    try:
        return read_card(opened, wait, as_json)
    finally:
        opened.close()


def read_card(reader: CardReader, wait: float, as_json: bool) -> int:
    """Read the card, waiting `wait` seconds (at least one) for it; the result goes to stdout."""
    capture = Capture(READ_S, lambda share, code: None, threading.Event())
    try:
        _wait_for_card(reader, wait)
        reading = reader.read(capture)
    except KitError as error:
        return _fail(error, as_json)
    _say(as_object(reading), as_json)
    return DONE if reading.verdict in ("verified", "weak") else REFUSED


def _fail(error: KitError, as_json: bool) -> int:
    sys.stderr.write(f"read-card: {error} (remedy: {error.remedy})\n")
    _say({"verdict": "no-card", "reasons": [str(error.code)], "flags": []}, as_json)
    return ABSENT if error.code in GONE else FAILED


def as_object(reading: CardReading) -> dict[str, Any]:
    """The reading in the form of the contract; nothing about the person when it is rejected."""
    answer: dict[str, Any] = {
        "verdict": reading.verdict,
        "reasons": list(reading.reasons),
        "flags": list(reading.flags),
        "applet": reading.applet,
        "card_number": reading.card_number,
        "chip_number": reading.chip_number,
        "genuine": reading.genuine,
        "test_trust": reading.test_trust,
        "apdus": reading.apdus,
        "ms": reading.ms,
    }
    if reading.identity is not None:
        answer["identity"] = {
            name: _plain(getattr(reading.identity, name), name) for name in FIELDS_OF_IDENTITY
        }
    if reading.address is not None:
        address = reading.address
        answer["address"] = {
            "street": address.street,
            "postcode": address.postcode,
            "municipality": address.municipality,
        }
    if reading.photo is not None:
        photo = reading.photo
        answer["photo"] = {
            "sha256": photo.sha256,
            "bytes": len(photo.jpeg),
            "width": photo.width,
            "height": photo.height,
        }
    return answer


def _plain(value: str | int | date, name: str) -> str | int:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if name == "birth_date" else value  # a bare year is text as a date is


def _wait_for_card(reader: CardReader, seconds: float) -> None:
    end = time.monotonic() + max(seconds, LEAST_WAIT_S)
    while reader.presence() != "card" and time.monotonic() < end:
        time.sleep(LOOK_S)


def _say(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return
    for name, value in answer.items():
        if isinstance(value, dict):
            lines = "".join(f"\n  {key}: {inner}" for key, inner in value.items())
            sys.stdout.write(f"{name}:{lines}\n")
        else:
            sys.stdout.write(f"{name}: {', '.join(value) if isinstance(value, list) else value}\n")
