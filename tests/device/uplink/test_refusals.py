"""What the fleet will not have, what somebody else answers, and what a clock has to do with it."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.spool.timesource import is_plausible, time_source
from device.uplink.problems import code_of
from device.uplink.refusals import is_final
from device.uplink.tls import KitContext, check_time, context
from tests.device.uplink.conftest import Site
from tests.device.uplink.fleet_stand import Call, Handler
from tests.mosquitto import until
from tests.pki import Pki

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "final"),
    [("payload-digest", True), ("kit-signature", True), ("foreign-visit", False), ("unknown-kit", False)],
)
def test_only_what_nobody_can_put_right_is_final(code: str, final: bool) -> None:
    assert is_final(code) is final


def test_a_final_refusal_is_told_and_not_tried_again_until_a_person_asks(site: Site) -> None:
    packet_id = site.offer(b"x" * 5000)
    site.stand.refuse[packet_id] = "kit-signature"
    site.start(refused_again_s=0.2)
    until(lambda: [parcel.state for parcel in site.spool.link().parcels] == ["stopped"])
    assert site.spool.link().parcels[0].code == "kit-signature"

    def begun() -> int:
        return len([call for call in site.stand.calls if call.method == "POST" and packet_id in call.path])

    before = begun()
    other = site.offer(b"y" * 5000)
    until(lambda: site.spool.uploaded() == [other])
    assert begun() == before
    site.stand.refuse.clear()
    site.spool.try_now()
    until(lambda: sorted(site.spool.uploaded()) == sorted([packet_id, other]))


def test_a_page_in_the_place_of_an_answer_is_called_a_portal(site: Site) -> None:
    closed = [True]

    def page(handler: Handler, call: Call) -> bool:
        if closed:
            handler.body(call.length)
            handler.raw(302, b"", headers={"Location": "https://portal.example/"})
        return bool(closed)

    site.stand.faults.append(page)
    packet_id = site.offer(b"x" * 5000)
    site.start()
    until(lambda: site.spool.link().problem == "portal")
    closed.clear()
    until(lambda: site.spool.uploaded() == [packet_id])


def test_a_server_without_tls_is_a_portal() -> None:
    problem = ssl.SSLError(1, "x")
    problem.reason = "WRONG_VERSION_NUMBER"
    assert code_of(problem) == "portal"


@pytest.mark.parametrize(
    ("clock", "newest", "good"),
    [
        (NOW, NOW, True),
        (NOW + timedelta(days=100), NOW, False),
        (datetime(1970, 1, 1, tzinfo=UTC), NOW, True),
        (NOW + timedelta(days=3653), NOW, True),
        (datetime(1970, 1, 1, tzinfo=UTC), NOW + timedelta(days=91), False),
        (NOW + timedelta(days=3653), NOW + timedelta(days=91), False),
    ],
    ids=["now", "expired", "1970", "ten years", "1970, fleet said later", "ten years, fleet said later"],
)
def test_a_certificate_is_judged_by_the_clock_or_by_what_the_fleet_last_said(
    clock: datetime, newest: datetime, good: bool
) -> None:
    made = KitContext(ssl.PROTOCOL_TLS_CLIENT)
    made.newest = newest
    peer = {"notBefore": "Nov  1 00:00:00 2026 GMT", "notAfter": "Feb 20 00:00:00 2027 GMT"}
    if good:
        check_time(peer, clock, made)
        return
    with pytest.raises(ssl.SSLCertVerificationError) as raised:
        check_time(peer, clock, made)
    assert code_of(raised.value) == "clock-wrong"


def test_a_kit_that_never_heard_of_its_fleet_goes_by_the_birth_of_its_own_certificate(pki: Pki) -> None:
    files = pki.issue("kit-tls", "kit-born-01")
    made = context(pki.roots, files.certificate, files.key, datetime.fromtimestamp(0, UTC))
    assert abs(datetime.now(UTC) - made.newest) < timedelta(hours=2)


def test_a_certificate_file_that_is_none_does_not_fit(pki: Pki, tmp_path: Path) -> None:
    files = pki.issue("kit-tls", "kit-born-02")
    broken = tmp_path / "broken.pem"
    broken.write_text("hello")
    with pytest.raises(OSError, match="not a certificate"):
        context(pki.roots, broken, files.key, NOW)


def test_a_clock_that_cannot_be_right_is_no_source_of_time() -> None:
    assert time_source(datetime(1970, 1, 1, tzinfo=UTC), NOW) == "none"
    assert time_source(NOW + timedelta(days=3653), NOW) == "none"
    assert is_plausible(NOW, datetime.fromtimestamp(0, UTC))


def test_the_fleets_time_is_kept_and_never_goes_back(site: Site) -> None:
    site.start()
    until(lambda: (site.folder / "spool" / "newest").exists())
    noted = int((site.folder / "spool" / "newest").read_text())
    assert abs(noted - datetime.now(UTC).timestamp()) < 600
