"""The uplink's certificate renewed while it works: a real broker, mutual TLS, kill -9 at every step."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from device.spool.credentials import Credentials
from protocol import renewal
from protocol.identity import serial_of
from tests.device.uplink.conftest import KIT, Site
from tests.device.uplink.fleet_stand import Call, Handler, Registrar
from tests.mosquitto import until

pytestmark = pytest.mark.timeout(400)
DAY = timedelta(days=1)
WAIT_S = 120.0


def held(site: Site) -> Credentials:
    return site.settings.held()


def serial(site: Site) -> str:
    return serial_of(held(site).present().chain()[0])


def aged(site: Site, begins: int, ends: int) -> Registrar:
    """The kit has a certificate with this life (days from now), and there is somebody to renew it."""
    files = site.pki.issue_aged("kit-tls", KIT, begins * DAY, ends * DAY)
    site.settings = replace(site.settings, certificate=files.certificate, key=files.key)
    site.stand.registrar = Registrar(site.pki)
    return site.stand.registrar


def renewed(site: Site) -> Callable[[], bool]:
    before = serial(site)
    return lambda: serial(site) != before and held(site).is_told()


def test_a_certificate_past_two_thirds_of_its_life_is_replaced_and_the_fleet_is_told(site: Site) -> None:
    registrar = aged(site, -24, 6)
    registrar.pending = 2
    done, old = renewed(site), serial(site)
    site.start()
    until(done, WAIT_S, "the renewal")
    assert len(registrar.requests) == 3  # twice "not yet"
    assert len({each["csr"] for each in registrar.requests}) <= 3
    assert [(told["role"], told["serial"]) for told in registrar.told] == [("kit-tls", serial(site))]
    until(lambda: site.stand.shown[-1][1] == serial(site), WAIT_S)
    site.broker.kill()
    until(lambda: not site.spool.link().online)
    site.broker.start()
    site.online()  # with the new one: it is the one in use
    fresh = held(site).present()
    assert fresh.key.stat().st_mode & 0o777 == 0o600
    assert old not in {at for path, at in site.stand.shown if path.endswith("/done")}


def test_a_young_certificate_stays_until_the_fleet_commands_otherwise(site: Site) -> None:
    registrar, done = aged(site, -1, 29), renewed(site)
    site.start()
    until(lambda: len([call for call in site.stand.calls if "inbox" in call.path]) > 1, WAIT_S)
    assert not registrar.requests
    site.spool.renew_now()
    until(done, WAIT_S, "the renewal")


@pytest.mark.parametrize(("begins", "ends"), [(-60, -30), (-200, -170)])
def test_an_expired_certificate_is_renewed_as_soon_as_the_fleet_tells_the_time(
    site: Site, begins: int, ends: int
) -> None:
    """The stand answers as the fleet does: everything but renewal is closed, and the time is told."""
    aged(site, begins, ends)
    done, old = renewed(site), serial(site)

    def shut(handler: Handler, call: Call) -> bool:
        if site.stand.shown[-1][1] != old or call.path.startswith("/kit/v1/renew"):
            return False
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        handler.body(call.length)
        handler.answer(403, {"error": "certificate-expired", "now": now})
        return True

    site.stand.faults.append(shut)
    packet = site.offer(b"x" * 20_000)
    site.start()
    until(done, WAIT_S, "the renewal")
    until(lambda: site.stand.complete(packet, b"x" * 20_000), WAIT_S)
    site.online()


def test_an_upload_goes_on_at_the_byte_with_the_new_certificate(site: Site) -> None:
    """In the middle of a packet the certificate changes and the connection breaks."""
    aged(site, -1, 29)
    done, old, data = renewed(site), serial(site), os.urandom(200_000)
    cut: list[int] = []

    def in_the_middle(handler: Handler, call: Call) -> bool:
        if call.method != "PATCH" or cut or (call.offset or 0) < 100_000:
            return False
        site.spool.renew_now()
        until(done, WAIT_S, "the renewal, while this upload holds its breath")
        cut.append(len(next(iter(site.stand.uploads.values())).data))
        handler.cut()
        return True

    site.stand.faults.append(in_the_middle)
    packet = site.offer(data)
    site.start(read_s=WAIT_S)
    until(lambda: site.stand.complete(packet, data), 2 * WAIT_S, "the upload")
    uploads = [(call, at) for call, (_, at) in zip(site.stand.calls, site.stand.shown, strict=True)
               if "uploads" in call.path]  # fmt: skip
    after = [call.offset for call, at in uploads if call.method == "PATCH" and at == serial(site)]
    assert after[0] == cut[0] >= 100_000
    assert {at for _, at in uploads} == {old, serial(site)}
    assert site.stand.uploads[packet].generation == 2  # one POST before, one after
    assert sum(call.length for call, _ in uploads if call.method == "PATCH") < 300_000


STEPS = ("key.pem", "certificate.pem", "../current", "../told")


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_the_kit_works_and_finishes_its_renewal(site: Site, step: str) -> None:
    registrar = aged(site, -24, 6)
    done = renewed(site)
    mark = site.folder / "uplink" / "1" / step
    log = (site.folder / "uplink.log").open("wb")
    running = site.spawn()
    until(lambda: there(mark), WAIT_S, step)
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    log.close()
    papers = held(site).present()
    assert papers.secret().public_key() == papers.chain()[0].public_key(), "what is in use is whole"
    packet = site.offer(b"y" * 9000)
    site.spawn()
    until(done, WAIT_S, "the renewal")
    until(lambda: site.stand.complete(packet, b"y" * 9000), WAIT_S)
    site.online()
    assert len({request_key(each["csr"]) for each in registrar.requests}) == 1, "one key, asked for again"


def there(mark: Path) -> bool:
    """`..` of a folder that is not there yet is not there either."""
    return Path(os.path.normpath(mark)).exists()


def request_key(csr: str) -> object:
    ran = subprocess.run(
        ["openssl", "req", "-inform", "DER", "-noout", "-pubkey"],
        input=__import__("base64").b64decode(csr), capture_output=True, check=True,
    )  # fmt: skip
    return ran.stdout


def test_what_the_broker_does_not_let_in_is_never_taken_into_use(site: Site) -> None:
    """An answer of another authority's: the roots that come with it vouch for nobody."""
    registrar, before = aged(site, -24, 6), serial(site)
    stranger = type(site.pki)(site.folder / "stranger", "Elsewhere")
    site.stand.registrar = Registrar(stranger)
    site.start()
    until(lambda: len(site.stand.registrar.requests) > 2, WAIT_S)
    assert serial(site) == before
    assert held(site).on_trial() is None
    site.online()
    assert not registrar.told


def test_a_refusal_leaves_the_old_one_and_is_not_asked_again_at_once(site: Site) -> None:
    registrar, before = aged(site, -24, 6), serial(site)
    registrar.refuse = "renewal-limit"
    site.start()
    asked = lambda: [call for call in site.stand.calls if call.path == "/kit/v1/renew"]  # noqa: E731
    until(asked, WAIT_S)
    until(lambda: len([call for call in site.stand.calls if "inbox" in call.path]) > 2, WAIT_S)
    assert len(asked()) == 1
    assert serial(site) == before
    site.online()


def test_without_keys_of_its_own_it_takes_the_one_that_was_laid_out(site: Site) -> None:
    """As with a TPM: the next key lies beside the present one; without it the key stays and only the
    certificate is new."""
    aged(site, -24, 6)
    given = site.settings
    spare = given.key.with_name(f"next-{given.key.name}")
    site.settings = replace(given, makes_keys=False)
    done = renewed(site)
    site.start()
    until(done, WAIT_S, "the renewal on the same key")
    assert held(site).present().key == given.key
    other = site.pki.issue("kit-tls", "kit-other")
    spare.write_bytes(other.key.read_bytes())
    again = renewed(site)
    site.spool.renew_now()
    until(again, WAIT_S, "the renewal on the spare key")
    assert held(site).present().key == spare
    site.finish()  # it is the key in use now
    spare.unlink()


def test_when_it_is_due_depends_on_life_and_serial_alone(site: Site) -> None:
    days = []
    for _ in range(8):
        files = site.pki.issue_aged("kit-tls", KIT, -10 * DAY, 20 * DAY)
        leaf = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        days.append((renewal.due(leaf) - leaf.not_valid_before_utc) / DAY)
    assert all(20 <= day <= 23 for day in days)
    assert len(set(days)) == len(days)
