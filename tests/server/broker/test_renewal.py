"""Kits renew their certificates at a real fleet: listener, job worker, authority, mosquitto, all programs."""

import http.client
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import pytest

from server.db.scope import EVERYONE
from server.fleet import kits, renewals, revocations
from server.work import utc_now
from tests.clocks import clock
from tests.mosquitto import until
from tests.server.broker.conftest import Managed
from tests.server.broker.renewing import DAY, WAIT_S, Kit, fleet, refused, run
from tests.server.town import KIT, OTHER_KIT

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]
LONG = pytest.mark.skipif(
    "THUISLOKET_LONG" not in os.environ, reason="the listener's own tests say it in short"
)


@contextmanager
def kit(managed: Managed, begins: int, ends: int, kit_id: str = KIT) -> Iterator[Kit]:
    made = Kit(managed, kit_id, managed.pki.issue_aged("kit-tls", kit_id, begins * DAY, ends * DAY))
    try:
        yield made
    finally:
        made.close()
        managed.pki.issue("kit-tls", kit_id)  # as the others here expect it


def test_a_kit_renews_itself_and_the_fleet_knows(managed: Managed) -> None:
    with kit(managed, -24, 6) as one, fleet(managed):
        before = one.serial
        one.on()
        until(lambda: one.is_renewed(before), WAIT_S, "the renewal")
        until(one.is_online, WAIT_S)
        told = run("server", "certificates", "list", "--config", managed.town.toml)["certificates"]
        assert [(line["kit_id"], line["role"], line["serial"], line["request"]) for line in told] == [
            (KIT, "kit-tls", one.serial, "")
        ]
        issued = {entry.serial: gone for entry, gone in managed.pki.authority.issued()}
        assert issued[one.serial] is False
        assert issued[before] is False, "the old one is left to end by itself"


def test_a_kit_from_a_drawer_comes_back_and_one_that_lay_too_long_does_not(managed: Managed) -> None:
    with kit(managed, -130, -100) as late, kit(managed, -230, -200, OTHER_KIT) as lost, fleet(managed):
        before = late.serial, lost.serial
        late.on()
        lost.on()
        until(lambda: late.is_renewed(before[0]), WAIT_S, "the renewal")
        until(late.is_online, WAIT_S)
        assert lost.serial == before[1]
        assert not lost.is_online()
        assert _call(managed, late, "/kit/v1/inbox") == 200
        assert _call(managed, lost, "/kit/v1/inbox") == 403, "an expired certificate opens nothing else"
        assert _call(managed, lost, "/kit/v1/renew") == 204


@LONG
def test_a_lost_kit_is_not_renewed_until_it_is_found(managed: Managed) -> None:
    with managed.town.database.writing(EVERYONE) as db:
        kits.missing(db, KIT, utc_now())
    with kit(managed, -24, 6) as one, fleet(managed) as door:
        before = one.serial
        one.on()
        until(lambda: "kit-lost" in door.log.read_text(), WAIT_S)
        assert one.serial == before
        with managed.town.database.writing(EVERYONE) as db:
            kits.found(db, KIT, utc_now())
        one.spool.renew_now()
        until(lambda: one.is_renewed(before), WAIT_S, "the renewal")


@LONG
def test_a_revoked_kit_is_never_renewed(managed: Managed) -> None:
    with kit(managed, -60, -30, OTHER_KIT) as one, fleet(managed):
        with managed.town.database.writing(EVERYONE) as db:
            revocations.begin(db, OTHER_KIT, "lost", "vloot", utc_now())
        assert _call(managed, one, "/kit/v1/renew") in (403, 0)

        def whole() -> bool:
            with managed.town.database.reading(EVERYONE) as db:
                return not revocations.waiting(db, OTHER_KIT)

        until(whole, WAIT_S, "the revocation")
        assert _call(managed, one, "/kit/v1/renew") == 0, "TLS does not let it in"


def test_with_the_authority_elsewhere_a_person_carries_requests_and_answers(managed: Managed) -> None:
    managed.write_toml(authority=False)
    town, folder = managed.town, managed.town.folder
    with kit(managed, -24, 6) as one, fleet(managed):
        before = one.serial
        one.on()

        def asked() -> bool:
            with town.database.reading(EVERYONE) as db:
                return bool(renewals.waiting(db))

        until(asked, WAIT_S, "the request")
        assert run("server", "certificates", "export", "--config", town.toml, "--out", folder / "asked.json")
        signed = run("provisioning", "ca", "sign", folder / "asked.json", "--ca", managed.pki.folder / "ca",
                     "--out", folder / "answers.json")  # fmt: skip
        assert (signed["issued"], signed["refused"]) == (1, {})
        answers = folder / "answers.json"
        assert run("server", "certificates", "import", "--config", town.toml, answers)["issued"] == 1
        until(lambda: one.is_renewed(before), WAIT_S, "the renewal")
        again = run("server", "certificates", "import", "--config", town.toml, answers)
        assert (again["issued"], again["not_issued"]) == (0, 1)
        answers.write_text("{}")
        assert "answers-unreadable" in refused(
            "server", "certificates", "import", "--config", town.toml, answers
        )


@LONG
@pytest.mark.parametrize("says", ["1970-01-01 00:10:00", "2036-06-01 12:00:00"])
def test_the_clock_of_the_kit_has_no_say(managed: Managed, says: str) -> None:
    """libfaketime sets the clock of the uplink's process alone."""
    with kit(managed, -24, 6) as one, fleet(managed):
        before = one.serial
        settings = json.dumps(asdict(one.settings), default=str)
        with (managed.town.folder / "uplink.log").open("ab") as log:
            uplink = subprocess.Popen(
                [sys.executable, "-m", "tests.device.uplink.program", settings],
                env=clock(f"@{says}"), stderr=log,
            )  # fmt: skip
        try:
            until(lambda: one.is_renewed(before), WAIT_S, "the renewal")
        finally:
            uplink.terminate()
            uplink.wait(20)


def _call(managed: Managed, one: Kit, path: str) -> int:
    """The status of a GET with the kit's present certificate; 0 when TLS does not let it in."""
    papers = one.held.present()
    context = ssl.create_default_context(cafile=str(papers.authorities))
    context.load_cert_chain(papers.certificate, papers.key)
    port = managed.town.ports["kits"]
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
