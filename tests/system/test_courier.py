"""Where no network comes: sealed applications on a stick to the fleet, receipts on it back to the kit."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent import courier as carrying
from device.agent.courier import Moved
from device.spool.spool import Spool
from device.spool.stick import NoStick, Stick
from protocol import courier
from protocol.ids import new_ulid
from protocol.sealed.packet import Sealed
from server.db.scope import EVERYONE
from server.db.tables import Application
from tests.server.town import KIT, Ground, Town, make_ground

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture
def town(tmp_path: Path, ground: Ground) -> Any:
    made = Town(tmp_path / "town", ground)
    yield made
    made.close()


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


ReceiptKeys = Mapping[str, ec.EllipticCurvePublicKey]


def roots(town: Town) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(town.ground.pki.roots.read_bytes())


def sealed_in(town: Town, spool: Spool, hour: int = 9) -> Sealed:
    sealed = town.packet(town.plan(hour=hour), seq=hour)
    spool.offer_packet(sealed.manifest.packet_id, sealed.data)
    return sealed


def fleet(town: Town, what: str, stick: Path) -> tuple[int, dict[str, Any]]:
    ran = subprocess.run(
        [sys.executable, "-m", "server", "courier", what, str(stick), "--config", str(town.toml), "--json"],
        capture_output=True,
        text=True,
    )
    return ran.returncode, json.loads(ran.stdout)


def outcomes(moved: list[Moved]) -> list[tuple[str, str]]:
    return [(each.outcome, each.code) for each in moved]


def export(spool: Spool, folder: Path) -> list[Moved]:
    with Stick(folder, make=True) as stick:
        return list(carrying.export_packets(spool, stick))


def packets_from(folder: Path, spool: Spool, town: Town, now: datetime) -> list[Moved]:
    with Stick(folder, make=False) as stick:
        return list(carrying.import_packets(spool, stick, roots(town), now))


def receipts_from(folder: Path, spool: Spool, keys: ReceiptKeys, kit_id: str) -> list[Moved]:
    with Stick(folder, make=False) as stick:
        return list(carrying.import_receipts(spool, stick, keys, kit_id))


def test_applications_go_to_the_fleet_on_a_stick_and_receipts_come_back_on_it(
    town: Town, stick: Path, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool")
    packets = [sealed_in(town, spool, hour) for hour in (9, 10)]
    assert outcomes(export(spool, stick)) == [("taken", "")] * 2
    assert outcomes(export(spool, stick)) == [("there", "")] * 2
    assert fleet(town, "import", stick)[1]["taken"] == 2
    code, again = fleet(town, "import", stick)
    assert (code, again["taken"], again["there"]) == (0, 0, 2)
    receipts = {sealed.manifest.packet_id: town.receipt(sealed) for sealed in packets}
    with town.database.writing(EVERYONE) as db:
        for packet_id, token in receipts.items():
            row = db.get_one(Application, packet_id)
            assert (row.state, row.kit_id) == ("uploaded", KIT)
            row.receipt = token
    assert fleet(town, "export", stick)[1]["taken"] == 2
    keys = town.recipients.public_receipt_keys()
    taken = receipts_from(stick, spool, keys, KIT)
    assert outcomes(taken) == [("taken", "")] * 2
    assert dict(spool.receipts()) == receipts
    foreign = receipts_from(stick, spool, keys, "kit-other-01")
    assert outcomes(foreign) == [("not-ours", "")] * 2
    spool.close()


def test_another_kit_takes_the_stick_in_and_a_second_time_changes_nothing(
    town: Town, stick: Path, tmp_path: Path
) -> None:
    mine, other = Spool(tmp_path / "mine"), Spool(tmp_path / "other")
    sealed = sealed_in(town, mine)
    export(mine, stick)
    now = datetime.now(UTC)
    for expected in ("taken", "there"):
        moved = packets_from(stick, other, town, now)
        assert outcomes(moved) == [(expected, "")]
    assert other.read_packet(sealed.manifest.packet_id) == sealed.data
    mine.close()
    other.close()


def test_what_is_torn_swapped_or_strange_is_refused_by_name_and_the_rest_goes_on(
    town: Town, stick: Path, tmp_path: Path
) -> None:
    spool, other = Spool(tmp_path / "spool"), Spool(tmp_path / "other")
    torn, swapped, good = (sealed_in(town, spool, hour) for hour in (9, 10, 11))
    export(spool, stick)
    folder = stick / courier.FOLDER
    (folder / courier.packet_name(torn.manifest.packet_id)).write_bytes(torn.data[:-100])
    (folder / courier.packet_name(swapped.manifest.packet_id)).write_bytes(good.data)
    strange = new_ulid()
    (folder / courier.packet_name(strange)).write_bytes(b"holiday pictures")
    link = new_ulid()
    os.symlink("/etc/passwd", folder / courier.packet_name(link))  # noqa: PTH211
    (folder / f"{new_ulid()}.sealed.part").write_bytes(b"half")
    (folder / "passwords.txt").write_text("not ours")
    moved = packets_from(stick, other, town, datetime.now(UTC))
    said = {each.packet_id: (each.outcome, each.code) for each in moved}
    assert said == {
        torn.manifest.packet_id: ("refused", "truncated"),
        swapped.manifest.packet_id: ("refused", "wrong-packet-id"),
        good.manifest.packet_id: ("taken", ""),
        strange: ("refused", "not-a-packet"),
        link: ("refused", "too-large"),
    }
    assert other.offered() == [good.manifest.packet_id]
    code, answer = fleet(town, "import", stick)
    assert (code, answer["taken"], answer["refused"]) == (3, 1, 4)
    spool.close()
    other.close()


def test_a_receipt_that_the_service_has_not_signed_is_left_on_the_stick(
    town: Town, stick: Path, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool")
    sealed, another = sealed_in(town, spool), sealed_in(town, spool, 10)
    held = Stick(stick, make=True)
    held.put(courier.receipt_name(sealed.manifest.packet_id), b"eyJhIjoxfQ.e30.AAAA")
    held.put(courier.receipt_name(another.manifest.packet_id), town.receipt(sealed).encode())
    keys = town.recipients.public_receipt_keys()
    held.close()
    moved = receipts_from(stick, spool, keys, KIT)
    assert [each.outcome for each in moved] == ["refused", "refused"]
    assert moved[1].code == "receipt-of-another"
    assert spool.receipts() == []
    spool.close()


def test_without_a_stick_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoStick, match="is the stick in"):
        Stick(tmp_path / "nowhere", make=True)
    with pytest.raises(NoStick, match="no folder"):
        Stick(tmp_path, make=False)
