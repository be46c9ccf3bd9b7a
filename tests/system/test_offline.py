"""Days without a network, clocks that cannot be right: all arrives, in order, and says what it is."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from device.spool.spool import Spool
from tests.device.uplink.conftest import Site
from tests.mosquitto import until
from tests.pki import Pki

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
PATIENCE_S = 90.0
VISITS = 15


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def site(tmp_path: Path, pki: Pki) -> Any:
    made = Site(tmp_path, pki)
    made.broker.start()
    made.stand.start()
    yield made
    made.close()


def clock_at(when: str) -> dict[str, str]:
    """The environment of a program whose clock says `when`; its monotonic clock stays what it is."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    fake = {"LD_PRELOAD": str(library), "FAKETIME": f"@{when}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return os.environ | fake


@pytest.mark.parametrize("when", ["1970-01-02 08:00:00", "2036-11-22 08:00:00"])
def test_fifteen_visits_wait_for_days_and_all_arrive_whatever_the_clock_says(site: Site, when: str) -> None:
    worker = site.worker
    site.start()
    until(lambda: (site.folder / "spool" / "newest").exists(), PATIENCE_S)
    site.finish()
    site.stand.stop()
    packets = [site.offer(os.urandom(6000)) for _ in range(VISITS)]
    site.spool.close()
    subprocess.run(
        [sys.executable, "-m", "tests.system.offline", str(site.folder / "spool"), *packets],
        env=clock_at(when),
        check=True,
    )
    site.spool = Spool(site.folder / "spool")
    site.stand.start()
    values = {name: str(value) for name, value in vars(site.settings).items() if isinstance(value, Path)}
    settings = json.dumps(vars(site.settings) | values)
    with (site.folder / "uplink.log").open("ab") as log:
        uplink = subprocess.Popen(
            [sys.executable, "-m", "tests.device.uplink.program", settings], env=clock_at(when), stderr=log
        )
    try:
        until(lambda: sorted(site.spool.uploaded()) == sorted(packets), PATIENCE_S)
        until(lambda: len(worker.committed) == VISITS, PATIENCE_S)
    finally:
        uplink.send_signal(signal.SIGTERM)
        assert uplink.wait(20) == 0
    completed = [name for name, upload in site.stand.uploads.items() if upload.state == "complete"]
    assert completed == packets  # oldest first
    said = sorted(worker.committed.values(), key=lambda envelope: envelope["seq"])
    assert [envelope["body"]["visit_id"] for envelope in said] == packets
    assert {envelope["ts"][:4] for envelope in said} == {when[:4]}
    assert {envelope["ts_src"] for envelope in said} == {"none"}  # nobody need believe those times
