"""A kit whose keys are in a TPM: what a thief with five guesses meets, and what goes on meanwhile."""

import json
import os
import sqlite3
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provisioning.demo import headless
from provisioning.demo.kiosk import Kiosk, KioskRefused
from provisioning.demo.layout import KIT
from provisioning.demo.progress import Progress
from provisioning.demo.running import Demo
from tests.mosquitto import until
from tests.system.conftest import Staged

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

PATIENCE_S = 90.0


def refused(kiosk: Kiosk, officer: str, pin: str) -> str:
    kiosk.state()
    with pytest.raises(KioskRefused) as no:
        kiosk.post("/unlock", officer=officer, pin=pin)
    return no.value.code


def wrong(pin: str) -> str:
    return f"{(int(pin) + 1) % 10**6:06d}"


def known(demo: Demo) -> dict[str, Any]:
    """What the fleet knows of the kit."""
    (database,) = demo.world.layout.fleet.rglob("fleet.db")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as held:
        held.row_factory = sqlite3.Row
        return dict(held.execute("SELECT * FROM kit WHERE kit_id = ?", (KIT,)).fetchone())


def doctor(demo: Demo) -> dict[str, Any]:
    command = [sys.executable, "-m", "device", "doctor", "--json", "--config", demo.world.layout.kit_toml]
    told = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    return {check["name"]: check for check in told["checks"]}


def test_five_wrong_pins_lock_and_health_still_goes_out_under_mtls(staged: Staged) -> None:
    with staged(with_tpm=True) as demo:
        until(lambda: known(demo)["birth"], PATIENCE_S, "the birth of the kit")
        assert json.loads(known(demo)["birth"])["protection"] == "hardware"
        assert doctor(demo)["device-secret"]["detail"] == "hardware protection"
        officer, other = demo.world.officers[:2]
        kiosk = Kiosk(demo.world.ports["kiosk"])
        try:
            assert "MINDER BEVEILIGD" not in kiosk.page()
            codes = [refused(kiosk, officer.officer_id, wrong(officer.pin)) for _ in range(5)]
            assert codes == ["wrong-pin"] * 4 + ["pin-blocked"]
            assert refused(kiosk, officer.officer_id, officer.pin) == "pin-blocked"

            before = known(demo)["health_at"]
            until(lambda: known(demo)["health_at"] > before, PATIENCE_S, "a report while the PIN is locked")
            assert known(demo)["presence"] == "online"

            demo.programs.kill("agent")
            demo.programs.kill("tpm")
            demo.programs.again("tpm")
            demo.programs.again("agent")
            assert refused(kiosk, officer.officer_id, officer.pin) == "pin-blocked", "also after a power cut"
            kiosk.post("/unlock", officer=other.officer_id, pin=other.pin)

            no_private_key_lies_on_disk(demo)
        finally:
            kiosk.close()


def no_private_key_lies_on_disk(demo: Demo) -> None:
    kit = demo.world.layout.kit
    assert not list(kit.rglob("*.key"))
    for path in kit.rglob("*"):
        assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes(), path
    toml = (kit / "kit.toml").read_text()
    key = Path(next(line for line in toml.splitlines() if line.startswith("key = ")).split('"')[1])
    assert key.stat().st_mode & 0o077 == 0
    ssl.create_default_context().load_cert_chain(kit / "certs" / "kit-tls.pem", key)


@pytest.mark.skipif("THUISLOKET_LONG" not in os.environ, reason="the long form: THUISLOKET_LONG=1")
def test_a_whole_visit_with_the_keys_in_a_tpm(staged: Staged) -> None:
    with staged(with_tpm=True) as demo:
        headless.check(demo, headless.play_visit(demo, Progress()))
