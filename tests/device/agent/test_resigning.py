"""The signing certificate of a kit, renewed by the agent through the spool; the rest of the way is played."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.clock import SystemClock
from device.agent.resigning import Resigning, Signing
from device.agent.sealing import KitSigner, load_signer
from device.spool.credentials import Credentials, Papers
from device.spool.hatch import Hatch
from device.spool.renewal_hatch import RenewalHatch
from device.spool.spool import Spool
from protocol import renewal
from tests.pki import Pki

KIT = "kit-test-01"
DAY = timedelta(days=1)


class Desk:
    """The agent's part alone, with what it needs."""

    def __init__(self, folder: Path, pki: Pki, begins: int, ends: int) -> None:
        files = pki.issue_aged("kit-sign", KIT, begins * DAY, ends * DAY)
        self.pki, self.spool = pki, Spool(folder / "spool")
        self.way, self.hatch = RenewalHatch(folder / "spool"), Hatch(folder / "spool")
        self.held = Credentials(folder / "signing", Papers(files.certificate, files.key, pki.roots), "agent")
        self.kit = self.restarted()
        self.part = self.again()

    def restarted(self) -> KitSigner:
        papers = self.held.present()
        return load_signer(KIT, papers.certificate, papers.key)

    def again(self, key: ec.EllipticCurvePrivateKey | None = None) -> Resigning:
        return Resigning(self.kit, Signing(self.held, key), self.spool, SystemClock())

    def answer(self, pki: Pki | None = None, name: str = KIT) -> None:
        """What fleet and authority would say, by the uplink."""
        token = self.way.asked()
        assert token is not None
        roots = x509.load_pem_x509_certificates(self.pki.roots.read_bytes())
        asked = renewal.verify_asked(token, roots, datetime.now(UTC))
        authority = (pki or self.pki).authority
        chain = authority.certify("kit-sign", name, asked.key).chain_pem.decode()
        bundle = authority.bundle("root").decode()
        self.way.grant(json.dumps({"state": "issued", "chain": chain, "authorities": bundle}).encode())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, Pki(tmp_path / "pki"), -24, 6)
    made.hatch.note_time(datetime.now(UTC))
    yield made
    made.hatch.close()
    made.spool.close()


def test_it_is_asked_for_taken_into_use_and_told(desk: Desk) -> None:
    before = desk.kit.serial
    desk.part.look(False)
    desk.answer()
    desk.part.look(True)
    assert desk.kit.serial == before, "never in the middle of a visit"
    desk.part.look(False)
    assert desk.kit.serial != before
    assert desk.restarted().serial == desk.kit.serial
    desk.part.look(False)
    told = desk.way.told()
    assert told is not None
    roots = x509.load_pem_x509_certificates(desk.pki.roots.read_bytes())
    leaf = renewal.verify_done(told, roots, datetime.now(UTC))
    assert format(leaf.serial_number, "x") == desk.kit.serial
    desk.part.look(False)
    assert desk.way.asked() is None, "it is young now"


def test_until_the_fleet_has_told_the_time_nothing_is_asked(tmp_path: Path) -> None:
    made = Desk(tmp_path, Pki(tmp_path / "pki"), -24, 6)
    made.part.look(False)
    assert made.way.asked() is None
    made.hatch.close()
    made.spool.close()


def test_after_a_power_cut_it_goes_on_with_the_same_key(desk: Desk) -> None:
    desk.part.look(False)
    first = desk.way.asked()
    desk.way.drop_request()
    desk.part = desk.again()
    desk.part.look(False)
    second = desk.way.asked()
    assert first != second
    assert None not in (first, second)
    desk.answer()
    desk.part = desk.again()
    desk.part.look(False)
    assert desk.restarted().serial == desk.kit.serial
    desk.part = desk.again()
    desk.part.look(False)
    assert desk.way.told() is not None, "what was not told is told"


def test_a_key_that_lies_elsewhere_stays(desk: Desk) -> None:
    before, key = desk.kit.serial, desk.kit.signer.key
    desk.part = desk.again(key)
    desk.part.look(False)
    desk.answer()
    desk.part.look(False)
    assert desk.kit.serial != before
    assert desk.kit.signer.key is key


@pytest.mark.parametrize("wrong", ["authority", "name", "garbage", "chain"])
def test_what_is_not_for_this_kit_is_not_taken(desk: Desk, tmp_path: Path, wrong: str) -> None:
    before = desk.kit.serial
    desk.part.look(False)
    if wrong == "authority":
        desk.answer(Pki(tmp_path / "stranger", "Elsewhere"))
    elif wrong == "name":
        desk.answer(name="kit-other-01")
    elif wrong == "garbage":
        desk.way.grant(b"{")
    else:
        desk.way.grant(json.dumps({"chain": "x", "authorities": "y"}).encode())
    desk.part.look(False)
    assert desk.kit.serial == before == desk.restarted().serial
    desk.part.look(False)
    assert desk.way.asked() is None, "not at once again"
