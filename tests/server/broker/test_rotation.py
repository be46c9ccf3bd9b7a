"""A new authority takes over from the old one: real mosquitto, real fleet, two kits, one in a drawer."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from device.agent.clock import SystemClock
from device.agent.learnt import with_learnt
from device.agent.resigning import Resigning, Signing
from device.agent.sealing import load_signer
from device.spool.credentials import Credentials, Papers
from device.spool.steering import SteeringDesk
from protocol.access import ADMIN
from protocol.ids import new_ulid
from protocol.sealed.packet import Sealed, Signer
from provisioning.commands.ca import app
from provisioning.generations import AuthorityError
from provisioning.release import release
from server.broker.release import Release
from server.db.scope import EVERYONE
from server.db.tables import Application, Upload
from tests.mosquitto import until
from tests.postgresql import Postgresql
from tests.server.broker.conftest import Managed
from tests.server.broker.renewing import WAIT_S, Kit, fleet, refused, run
from tests.server.engines import POSTGRESQL, SQLITE
from tests.server.programs import KitCaller, service
from tests.server.town import KIT, OTHER_KIT, Ground, filled_postgresql, make_ground

pytestmark = [pytest.mark.system, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """An authority of its own: it will not be the same afterwards."""
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="module")
def postgresql(ground: Ground) -> Iterator[Postgresql]:
    """Filled with what that authority has made."""
    with filled_postgresql(ground) as server:
        yield server


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


def resigned(managed: Managed, kit: Kit) -> Signer:
    """What the kit signs with once its agent has renewed that certificate by way of its uplink, the fleet and
    the authority."""
    files = managed.pki.folder / f"kit-sign-{kit.kit_id}"
    given = Papers(
        files.with_name(f"{files.name}.pem"), files.with_name(f"{files.name}.key"), managed.pki.roots
    )
    held = Credentials(managed.town.folder / f"signing-{kit.kit_id}", given, "agent")
    mine = load_signer(kit.kit_id, given.certificate, given.key)
    part, old = Resigning(mine, Signing(held), kit.spool, SystemClock()), mine.serial
    part.renew()

    def renewed() -> bool:
        part.look(in_visit=False)
        return mine.serial != old and SteeringDesk(kit.spool.root).is_renewed()

    until(renewed, WAIT_S, "the renewal of both certificates")
    part.look(in_visit=False)
    assert len(with_learnt((), held)) == 3, "its roots are the old one, the present one, and the one to come"
    return mine.signer


def sent(managed: Managed, kit: Kit, *packets: Sealed) -> dict[str, str]:
    """The states of these packets, once the kit has sent them and the service has answered."""
    ids = [packet.manifest.packet_id for packet in packets]
    for packet in packets:
        kit.spool.offer_packet(packet.manifest.packet_id, packet.data)

    def states() -> dict[str, str]:
        with managed.town.database.reading(EVERYONE) as db:
            rows = [db.get(Application, packet_id) for packet_id in ids]
            return {row.packet_id: row.state for row in rows if row is not None}

    until(lambda: list(states().values()).count("accepted") == len(ids), WAIT_S, "the service's answers")
    return states()


def written(managed: Managed, packet: Sealed) -> int:
    """How much of it the fleet has."""
    with managed.town.database.reading(EVERYONE) as db:
        upload = db.get(Upload, packet.manifest.packet_id)
        return 0 if upload is None else upload.written


def begun(managed: Managed, packet: Sealed) -> int:
    """Half of it is sent, with the certificate of before; how much that is."""
    caller, path = KitCaller(managed.town), f"/kit/v1/uploads/{packet.manifest.packet_id}"
    wish = {"size": len(packet.data), "sha256": hashlib.sha256(packet.data).hexdigest()}
    status, _, standing = caller.call(
        "POST", path, json.dumps(wish).encode(), {"Content-Type": "application/json"}
    )
    assert (status, standing["offset"]) == (200, 0)
    half = packet.data[: len(packet.data) // 2]
    headers = {"Upload-Offset": "0", "Upload-Generation": str(standing["generation"])}
    assert caller.call("PATCH", path, half, headers)[0] == 204
    return len(half)


def opened(managed: Managed, packet: Sealed, trust: Path, say: Callable[..., Any] = run) -> Any:
    """What `thuisloket-open` of the service says of it."""
    path = trust.with_name("sent.packet")
    path.write_bytes(packet.data)
    return say(
        "competent", path, "--key", managed.pki.folder.parent / "service" / "current.age",
        "--trust", trust, "--out", trust.with_name(f"opened-{new_ulid()}"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "engine",
    [
        SQLITE,
        pytest.param(
            POSTGRESQL,
            marks=pytest.mark.skipif("THUISLOKET_LONG" not in os.environ, reason="THUISLOKET_LONG=1"),
        ),
    ],
)
def test_a_new_authority_takes_over_and_no_kit_is_shut_out(managed: Managed) -> None:
    pki, toml = managed.pki, managed.town.toml
    town = managed.town
    visits = [town.plan(hour=hour) for hour in (9, 11, 13)]
    before = [town.packet(visit, seq) for seq, visit in enumerate(visits[:2], 1)]
    services = town.folder / "services-trust"  # who opens holds the root of the first day
    services.mkdir()
    (services / "root.pem").write_bytes(pki.roots.read_bytes())
    assert len(list((town.folder / "trust").iterdir())) == 1
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
            half = begun(managed, before[0])

            rotate(managed, "begin")
            install(managed)
            with pytest.raises(AuthorityError, match="under way"):
                rotate(managed, "begin")
            rotate(managed, "promote")
            install(managed)
            assert len(list((town.folder / "trust").iterdir())) == 2, "the root after the next is learnt"
            reissue(managed)
            install(managed)  # the listener takes its new certificate up with the new lists

            assert written(managed, before[0]) == half
            at_work.spool.offer_packet(before[0].manifest.packet_id, before[0].data)
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
            renewed = resigned(managed, at_work)
            assert renewed.chain[0].issuer != town.signer("kit-sign", KIT).chain[0].issuer
            pki.issue("kit-sign", OTHER_KIT)
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
            until(lambda: before[0].manifest.packet_id in at_work.spool.uploaded(), WAIT_S, "the packet")
        pki.clients.write_bytes((managed.release / "authorities.pem").read_bytes())
        after = town.packet(visits[2], 1, signer=renewed)
        with fleet(managed), service(town):  # started anew, as after any change of their own certificates
            assert set(sent(managed, at_work, *before, after).values()) == {"accepted"}
        for packet in (*before, after):  # who opens trusts two roots from the first day
            assert opened(managed, packet, services)["verdict"] == "opened"
        assert rotate(managed, "begin")["generation"] == 3, "and so on"
        rotate(managed, "promote")
        pki.issue("kit-sign", KIT)
        third = town.packet(visits[2], 4)
        assert "certificate-untrusted" in opened(managed, third, services, refused)
        release(pki.authority, managed.release)
        shutil.copy(managed.release / "roots.pem", services)  # by hand (0163)
        for packet in (before[0], third):
            assert opened(managed, packet, services)["verdict"] == "opened"
    finally:
        at_work.close()
        in_drawer.close()
