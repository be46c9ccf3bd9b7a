"""A new authority takes over from the old one: real mosquitto, real fleet, two kits, one in a drawer."""

import json
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from protocol.access import ADMIN
from provisioning.commands.ca import app
from provisioning.generations import AuthorityError
from provisioning.release import release
from server.broker.release import Release
from tests.mosquitto import until
from tests.server.broker.conftest import Managed
from tests.server.broker.renewing import WAIT_S, Kit, fleet
from tests.server.town import KIT, OTHER_KIT, Ground, make_ground

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """An authority of its own: it will not be the same afterwards."""
    return make_ground(tmp_path_factory.mktemp("ground"))


def install(managed: Managed) -> None:
    """What an administrator does after every change of the authority."""
    release(managed.pki.authority, managed.release)
    managed.manager.install(Release(managed.release), listening=True)


def rotate(managed: Managed, step: str, *more: str | Path) -> dict[str, object]:
    """A step of the command; what it says."""
    arguments = ["rotate", step, "--ca", managed.pki.folder / "ca", "--json", *more]
    ran = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert ran.exit_code == 0
    # The uplinks of this process log to the same stdout.
    line = next(line for line in ran.stdout.splitlines() if line.startswith('{"generation"'))
    told: dict[str, object] = json.loads(line)
    return told


def reissue(managed: Managed) -> None:
    """New certificates for broker and servers, under the authority that issues now, in the same files."""
    pki = managed.pki
    for role, name in (
        ("broker", "broker.test"),
        ("server", "fleet.test"),
        ("service", "service.test"),
        ("ingest", "fleet-ingest-1"),
        ("ingest", ADMIN),
        ("custodian", "fleet.test"),
    ):
        pki.issue(role, name)
    pki.authority.issue("officer", "an.peeters").write(pki.folder, "officer-an.peeters")
    managed.broker.reload()


class Work:
    """A kit at work: reports all the while, and notes every moment at which a door is shut to it."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._stop = kit, threading.Event()
        self.shut: list[str] = []
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            problem = self._kit.spool.link().problem
            if problem in ("refused", "certificate-refused", "certificate-expired", "server-untrusted"):
                self.shut.append(problem)

    def end(self) -> list[str]:
        self._stop.set()
        self._thread.join(30)
        return self.shut


def test_a_new_authority_takes_over_and_no_kit_is_shut_out(managed: Managed) -> None:
    pki, toml = managed.pki, managed.town.toml
    at_work = Kit(managed, KIT, pki.issue("kit-tls", KIT))
    in_drawer = Kit(managed, OTHER_KIT, pki.issue("kit-tls", OTHER_KIT))
    first = at_work.serial, in_drawer.serial
    old = at_work.issuer
    try:
        with fleet(managed):
            at_work.on()
            in_drawer.on()
            until(lambda: at_work.is_online() and in_drawer.is_online(), WAIT_S)
            in_drawer.off()  # and stays off until it is all over but the end
            work = Work(at_work)

            rotate(managed, "begin")
            install(managed)
            with pytest.raises(AuthorityError, match="under way"):
                rotate(managed, "begin")
            rotate(managed, "promote")
            install(managed)
            reissue(managed)
            install(managed)  # the listener takes its new certificate up with the new lists

            at_work.spool.renew_now()
            until(lambda: at_work.is_renewed(first[0]), WAIT_S, "the renewal under the new authority")
            assert at_work.issuer != old
            until(at_work.is_online, WAIT_S)

            left = rotate(managed, "show", "--fleet", toml)["dependents"]
            assert isinstance(left, list)
            assert [(each["role"], each["name"]) for each in left if each["role"] == "kit-tls"] == [
                ("kit-tls", OTHER_KIT)
            ]
            with pytest.raises(AuthorityError, match=OTHER_KIT):
                rotate(managed, "finish", "--fleet", toml)

            in_drawer.on()  # it has never heard of any of this
            until(in_drawer.is_online, WAIT_S, "the kit from the drawer")
            in_drawer.spool.renew_now()
            until(lambda: in_drawer.is_renewed(first[1]), WAIT_S, "its renewal")
            for kit_id in (KIT, OTHER_KIT):
                pki.issue("kit-sign", kit_id)
            assert rotate(managed, "show", "--fleet", toml)["dependents"] == []
            assert rotate(managed, "finish", "--fleet", toml)["left_behind"] == []
            install(managed)

            at_work.off()
            in_drawer.off()
            at_work.on()
            in_drawer.on()
            until(lambda: at_work.is_online() and in_drawer.is_online(), WAIT_S, "both, without the old one")
            assert work.end() == []
            assert not (pki.folder / "ca" / "kit" / "key.pem").exists(), "the old issuing key is no more"
            trusted = at_work.held.present().authorities.read_text()
            assert trusted.count("BEGIN CERTIFICATE") >= 2, "the present root, and already the next one"
            assert rotate(managed, "begin")["generation"] == 3, "and so on"
    finally:
        at_work.close()
        in_drawer.close()
