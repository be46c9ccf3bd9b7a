"""A kit that is lost is refused everywhere by one action: real mosquitto, real listener, real programs."""

import json
import logging
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.topics import kit_listens
from provisioning.release import release
from server.broker import installing, members
from server.broker.link import Identity, Link
from server.broker.problem import BrokerProblem
from server.broker.release import Release
from server.db.scope import EVERYONE
from server.fleet import outbox, revocations
from server.work import utc_now
from tests.mosquitto import until
from tests.server.broker.conftest import Managed
from tests.server.programs import PATIENCE_S, KitCaller, Program, listens, running
from tests.server.town import KIT, OTHER_KIT

log = logging.getLogger(__name__)
pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
WITHIN_S = 60.0


def identity(managed: Managed, name: str) -> Identity:
    folder = managed.pki.folder
    return Identity(name, folder / f"kit-tls-{name}.pem", folder / f"kit-tls-{name}.key")


def answered(caller: KitCaller) -> bool:
    """The listener binds its port before it has loaded all it needs."""
    try:
        return bool(caller.call("GET", "/kit/v1/inbox")[0] == 200)
    except TimeoutError:
        return False


def effects(told: dict[str, object]) -> dict[str, str]:
    found = told["effects"]
    assert isinstance(found, list)
    return {line["effect"]: line["state"] for line in found}


def test_a_lost_kit_is_refused_by_broker_and_listener_within_a_minute(managed: Managed) -> None:
    managed.manager.agree()
    lost, good = identity(managed, KIT), identity(managed, OTHER_KIT)
    managed.pki.issue("kit-tls", "kit-unused")
    caller = KitCaller(managed.town)
    with running(managed.town, "serve", "--only", "kits") as door:
        until(lambda: listens(managed.town.ports["kits"], door), PATIENCE_S)
        until(lambda: answered(caller), PATIENCE_S, "the listener to answer")
        session, other = Link(managed.manager.place, lost).open(), Link(managed.manager.place, good).open()
        assert session.subscribe(*kit_listens(KIT)) == [1] * len(kit_listens(KIT))
        ran = subprocess.run(
            [sys.executable, "-m", "provisioning", "kit", "lost", KIT, "--json",
             "--ca", managed.pki.folder / "ca", "--fleet", managed.town.toml],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        told = json.loads(ran.stdout)
        assert effects(told) == dict.fromkeys(revocations.EFFECTS, "done")
        assert all(0 <= line["after_s"] < WITHIN_S for line in told["effects"]), told
        assert session.ended(5), "its live session is dropped"
        log.info("%s", {line["effect"]: line["after_s"] for line in told["effects"]})
        assert not other.ended(0), "and nobody else's"
        assert not installing.admitted(managed.manager.place, lost)
        with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
            caller.call("GET", "/kit/v1/inbox")
        assert installing.admitted(managed.manager.place, Release(managed.release).canaries[0])
        assert KitCaller(managed.town, name=OTHER_KIT).call("GET", "/kit/v1/inbox")[0] == 200
        other.close()
    with managed.manager.control() as control:
        assert KIT not in control.clients()
        assert KIT not in control.roles()


def test_a_button_does_the_same_by_the_job_worker(managed: Managed) -> None:
    """The page writes the wish; whoever works finds it, signs with the authority at hand, and notes each
    effect.
    """
    session = None
    log = managed.town.folder / "work.log"
    worker = Program(log, "server", "work", "--config", str(managed.town.toml))
    try:
        with running(managed.town, "serve", "--only", "kits") as door:
            until(lambda: listens(managed.town.ports["kits"], door), PATIENCE_S)
            until(
                lambda: answered(KitCaller(managed.town, name=OTHER_KIT)),
                PATIENCE_S,
                "the listener to answer",
            )
            until(lambda: "admitted" in log.read_text(), PATIENCE_S, "the worker to admit the kits")
            session = Link(managed.manager.place, identity(managed, OTHER_KIT)).open()
            with managed.town.database.writing(EVERYONE) as db:
                revocations.begin(db, OTHER_KIT, "lost", "vloot", utc_now())

            def whole() -> bool:
                with managed.town.database.reading(EVERYONE) as db:
                    found = revocations.standing(db, OTHER_KIT)
                assert found is not None
                return found.whole

            until(whole, WITHIN_S, "all effects")
            assert session.ended(5)
            assert not installing.admitted(managed.manager.place, identity(managed, OTHER_KIT))
    finally:
        worker.stop()
        if session is not None:
            session.close()
    with managed.town.database.reading(EVERYONE) as db:
        assert "broker" not in outbox.waiting(db)


def test_what_cannot_take_effect_is_told_and_tried_again(managed: Managed) -> None:
    managed.broker.stop()
    with managed.town.database.writing(EVERYONE) as db:
        revocations.begin(db, KIT, "lost", "vloot", utc_now())
    with pytest.raises(BrokerProblem, match="unreachable"):
        managed.manager.settle(KIT, listening=False)
    with managed.town.database.reading(EVERYONE) as db:
        found = revocations.standing(db, KIT)
    assert found is not None
    states = {line.effect: line.state for line in found.effects}
    assert states == {
        "door": "done",
        "broker-session": "failed",
        "broker-list": "failed",
        "door-list": "done",
    }
    assert "is mosquitto running" in found.effects[1].detail
    managed.broker.start()
    assert managed.manager.settle(KIT, listening=False) == "revoked"
    with managed.town.database.reading(EVERYONE) as db:
        assert not revocations.waiting(db, KIT)


def broken(managed: Managed, how: str) -> None:
    path = managed.release / "broker-lists.pem"
    if how == "empty":
        path.write_bytes(b"")
    elif how == "garbage":
        path.write_bytes(b"-----BEGIN X509 CRL-----\nnonsense\n-----END X509 CRL-----\n")
    elif how == "of-one-ca":
        path.write_bytes((managed.release / "kit-lists.pem").read_bytes())
    elif how == "of-another":
        path.write_bytes(managed.broker.settings.authorities.read_bytes())
    elif how == "older":
        path.write_bytes(managed.pki.revoked.read_bytes())
    else:
        lists = path.read_bytes()
        path.write_bytes(lists[:-80] + lists[-40:])


@pytest.mark.parametrize("how", ["empty", "garbage", "of-one-ca", "of-another", "older", "cut"])
def test_a_list_that_would_open_or_shut_the_broker_is_never_installed(managed: Managed, how: str) -> None:
    before = managed.broker.settings.revoked.read_bytes()
    release(managed.pki.authority, managed.release)
    broken(managed, how)
    with pytest.raises(BrokerProblem):
        managed.manager.install(Release(managed.release), listening=False)
    assert managed.broker.settings.revoked.read_bytes() == before
    assert not list(managed.broker.settings.folder.glob(".revoked*"))


def test_a_list_that_the_broker_does_not_honour_is_taken_back(managed: Managed, tmp_path: Path) -> None:
    """The broker is not told to read it (its reload does nothing): the fresh canary gets in, and that is
    seen.
    """
    release(managed.pki.authority, managed.release)
    before = managed.broker.settings.revoked.read_bytes()
    files = installing.Files(
        managed.broker.settings.revoked, managed.broker.settings.authorities, lambda: None
    )
    place = managed.manager.place
    with pytest.raises(BrokerProblem, match="list-not-honoured"):
        installing.install_at_broker(place, files, Release(managed.release), utc_now(), patience_s=1)
    assert managed.broker.settings.revoked.read_bytes() == before


def test_the_broker_follows_the_kits_of_the_database(managed: Managed) -> None:
    assert managed.manager.agree() == (4, 0, 0)  # two kits, two canaries
    assert managed.manager.agree() == (0, 0, 0)
    with managed.manager.control() as control:
        members.admit(control, "kit-stranger")
        control.do([{"command": "removeRoleACL", "rolename": KIT, "acltype": "publishClientSend",
                     "topic": f"tl/v1/kit/{KIT}/up/#"}])  # fmt: skip
    assert managed.manager.agree() == (0, 1, 1)
    with managed.manager.control() as control:
        assert "kit-stranger" not in control.clients()
        assert {"fleet-ingest-1", "fleet-admin", KIT, OTHER_KIT} <= set(control.clients())
