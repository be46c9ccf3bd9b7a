"""Cards as bytes that never change: what a driver must make of them whatever the card maker does today."""

import json
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from device.drivers.eid.files import ORDER, CardFiles
from device.drivers.eid.judge import judge
from device.drivers.eid.trust import TrustStore, anchor

CARDS = sorted((Path(__file__).parents[3] / "vectors" / "eid" / "cards").glob("*.json"))
AT = datetime(2026, 12, 1, 12, tzinfo=UTC)  # the certificates are valid from October 2026 for ten years


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_literal_card_is_judged_as_written(path: Path) -> None:
    vector = json.loads(path.read_text())
    files = {name: b64decode(data) for name, data in vector["files"].items()}
    named = {file.name: files.get(f"{file.path[2:].hex().upper()}.bin", b"") for file in ORDER}
    root = x509.load_der_x509_certificate(b64decode(vector["root"]))
    reading = judge(CardFiles(files["carddata.bin"], **named), TrustStore((anchor(root),)), AT)
    assert (reading.verdict, list(reading.reasons)) == (vector["verdict"], vector["reasons"])
    assert [flag for flag in reading.flags if flag != "not-genuine"] == vector["flags"]
    assert reading.genuine == ("failed" if reading.applet == "1.8" else "unproven")
    if vector["identity"] is None:
        assert reading.identity is None
        return
    assert reading.identity is not None
    assert reading.address is not None
    said = {name: str(getattr(reading.identity, name)) for name in vector["identity"]}
    assert said == vector["identity"]
    assert reading.address.street == vector["street"]


def test_there_are_cards_of_every_generation() -> None:
    assert len(CARDS) == 5
