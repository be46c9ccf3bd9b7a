"""Whom the uplink believes, how it ends, what it logs."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from device.uplink import process
from tests.device.uplink.conftest import KIT, Site
from tests.device.uplink.fleet_stand import FleetStand
from tests.mosquitto import Mosquitto, free_port, until
from tests.pki import Files, Pki


def test_a_fleet_of_another_authority_gets_nothing(site: Site, tmp_path: Path):
    stranger = Pki(tmp_path / "stranger", "Elsewhere")
    site.stand.stop()
    impostor = FleetStand(site.stand.port, site.pki.clients, stranger.issue("server", "fleet.test"))
    impostor.start()
    site.offer(b"x" * 5000)
    site.start()
    until(lambda: site.spool.link().problem == "server-untrusted")
    time.sleep(0.5)
    assert impostor.calls == []
    site.online()  # the broker is the real one
    impostor.stop()


def test_a_broker_of_another_authority_gets_nothing(site: Site, tmp_path: Path):
    stranger = Pki(tmp_path / "stranger", "Elsewhere")
    impostor = Mosquitto(tmp_path / "impostor", stranger)
    impostor.start()
    site.report()
    site.start(mqtt_port=impostor.port)
    until(lambda: site.spool.link().problem == "server-untrusted")
    assert not site.spool.link().online
    site.finish()
    assert "as kit-" not in impostor.log.read_text()
    impostor.stop()


def test_the_right_authority_under_another_name_is_not_believed(site: Site):
    leaf = site.pki.authority.issue("server", "other.test", ["other.test"])
    leaf.write(site.folder, "other")
    site.stand.stop()
    files = Files(site.folder / "other.pem", site.folder / "other.key")
    other = FleetStand(site.stand.port, site.pki.clients, files)
    other.start()
    site.start()
    until(lambda: site.spool.link().problem == "server-untrusted")
    assert other.calls == []
    other.stop()


def test_a_kit_whose_certificate_is_revoked_is_told_and_keeps_its_things(site: Site):
    files = site.pki.issue("kit-tls", "kit-gone-01")
    serial = subprocess.run(
        ["openssl", "x509", "-in", files.certificate, "-noout", "-serial"], capture_output=True, text=True
    ).stdout.partition("=")[2]
    site.pki.authority.revoke(serial, "superseded")
    site.pki.write_revoked()
    site.broker.reload()
    site.report()
    site.start(kit_id="kit-gone-01", certificate=files.certificate, key=files.key)
    until(lambda: site.spool.link().problem in ("refused", "certificate-refused", "link-lost"))
    assert not site.spool.link().online
    assert site.spool.reports_waiting() == 1


def test_a_renewed_certificate_is_taken_up_at_the_next_connect(site: Site, tmp_path: Path):
    first = site.pki.issue("kit-tls", KIT)
    certificate, key = tmp_path / "kit.pem", tmp_path / "kit.key"
    certificate.write_bytes(first.certificate.read_bytes())
    key.write_bytes(first.key.read_bytes())
    site.start(certificate=certificate, key=key)
    site.online()
    renewed = site.pki.issue("kit-tls", KIT)
    certificate.write_bytes(renewed.certificate.read_bytes())
    key.write_bytes(renewed.key.read_bytes())
    site.broker.kill()
    until(lambda: not site.spool.link().online)
    site.broker.start()
    site.online()


def test_a_key_that_is_laid_out_elsewhere_may_be_away_for_a_while(site: Site):
    """As where another program lays it out in memory, and is started anew."""
    key = site.folder / "laid-out.key"
    key.write_bytes(site.settings.key.read_bytes())
    site.start(key=key)
    site.online()
    away = key.rename(key.with_name("away.key"))
    site.broker.stop()
    site.broker.start()
    until(lambda: site.spool.link().problem == "certificate-refused")
    away.rename(key)
    site.online()


@pytest.mark.parametrize("missing", ["ca", "certificate", "key"])
def test_without_its_certificates_the_process_does_not_start(site: Site, missing: str):
    changes = {missing: Path("/nowhere.pem")}
    with pytest.raises(process.CannotStart, match=r"No such file|nowhere"):
        process.run(replace(site.settings, **changes), Event())


def test_a_second_uplink_on_the_same_spool_ends_with_an_error(site: Site):
    site.start()
    site.online()
    with pytest.raises(process.CannotStart, match="another uplink"):
        process.run(site.settings, Event())


def test_a_bug_ends_the_process_visibly(site: Site):
    """What nobody foresaw takes the whole process with it, and systemd starts it again."""
    worker = site.worker
    running = site.spawn()
    site.online()
    events = site.folder / "spool" / "events"
    events.rename(site.folder / "gone")
    assert running.wait(20) == 1
    (site.folder / "gone").rename(events)
    assert "FileNotFoundError" in (site.folder / "uplink.log").read_text()
    assert site.spool.link().problem == "uplink-not-running"
    until(lambda: worker.presences()[-1] == ("lost", 1))  # it was not switched off


def test_a_stop_signal_ends_it_with_zero_within_moments(site: Site):
    site.stand.stop()
    site.broker.stop()
    running = site.spawn(mqtt_host="192.0.2.1", retry_most_s=120)  # nothing answers there
    until(lambda: site.spool.link().problem not in ("uplink-not-running", ""))
    began = time.monotonic()
    running.terminate()
    assert running.wait(20) == 0
    assert time.monotonic() - began < 8


def test_the_log_is_json_with_ids_and_codes_and_no_content(site: Site):
    worker = site.worker
    packet_id = site.offer(b"SECRET-CONTENT" * 100)
    site.stand.bag = (1, b"SECRET-BAG")
    message_id = site.report()
    running = site.spawn()
    until(lambda: site.spool.uploaded() == [packet_id])
    until(lambda: message_id in worker.committed)
    until(lambda: site.spool.bag() is not None)
    running.terminate()
    assert running.wait(20) == 0
    log = (site.folder / "uplink.log").read_text()
    assert "SECRET" not in log
    lines = [json.loads(line) for line in log.splitlines()]
    known = {
        "event", "level", "timestamp", "kit", "session", "packet", "message", "code", "detail", "bytes",
        "offset", "generation", "version", "again_s",
    }  # fmt: skip
    assert set().union(*lines) <= known
    assert {"uplink", "mqtt-up", "uploaded", "event-receipted", "bag", "uplink-off"} <= {
        line["event"] for line in lines
    }


def test_the_uplink_meets_nothing_of_the_agent():
    """Its imports, all of them: no vault, no drivers, no agent, no configuration, no serial port or card."""
    ran = subprocess.run(
        [sys.executable, "-c", "import device.uplink.process, sys; print('\\n'.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(ran.stdout.split())
    rooms = {name.split(".")[1] for name in loaded if name.startswith("device.")}
    assert rooms == {"uplink", "spool"}
    assert not loaded & {"serial", "smartcard", "sqlite3", "flask", "numpy", "PIL"}


def test_it_needs_no_port_of_its_own_on_the_loopback(site: Site):
    """paho's own loop opens a TCP pair on 127.0.0.1; under `IPAddressDeny=any` it would hang there."""
    running = site.spawn()
    site.online()
    listing = subprocess.run(["ss", "-Htanp"], capture_output=True, text=True, check=True).stdout
    ours = [line.split() for line in listing.splitlines() if f"pid={running.pid}," in line]
    assert ours
    assert {line[4].rsplit(":", 1)[1] for line in ours} <= {str(site.broker.port), str(site.stand.port)}


def test_a_silent_broker_is_left_after_a_while(site: Site):
    with socket.create_server(("127.0.0.1", free_port())) as deaf:
        site.start(mqtt_port=deaf.getsockname()[1], connect_s=0.5)
        until(lambda: site.spool.link().problem == "timed-out")
        site.finish()
