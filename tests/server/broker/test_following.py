"""Roots of a release are taken over when a trusted one vouches for them, all or none, and nothing goes."""

from pathlib import Path

import pytest

from protocol import roots
from provisioning import rotation
from provisioning.ca import Authority
from provisioning.release import release
from server import trust
from server.broker.following import learn
from server.broker.problem import BrokerProblem
from tests.pki import Pki


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "trust"
    made.mkdir()
    return made


def offered(authority: Authority, folder: Path) -> bytes:
    release(authority, folder)
    return (folder / "roots.pem").read_bytes()


def test_a_root_is_learnt_with_the_promotion_and_the_old_one_stays(tmp_path: Path, folder: Path) -> None:
    authority = Pki(tmp_path / "pki").authority
    (folder / "root.pem").write_bytes(authority.bundle("root"))
    assert learn(folder, offered(authority, tmp_path / "release")) == 0
    rotation.begin(authority)
    rotation.promote(authority)
    assert learn(folder, offered(authority, tmp_path / "release")) == 1
    assert learn(folder, offered(authority, tmp_path / "release")) == 0
    held = trust.roots(folder)
    assert len(held) == 3
    assert set(roots.read(authority.bundle("root"))) == set(held)
    assert all(path.suffix == ".pem" for path in folder.iterdir())


def test_roots_that_nobody_vouches_for_are_refused_whole(tmp_path: Path, folder: Path) -> None:
    authority = Pki(tmp_path / "pki").authority
    (folder / "root.pem").write_bytes(authority.bundle("root"))
    foreign = Pki(tmp_path / "foreign").authority
    for pem in (foreign.bundle("root"), authority.bundle("root") + foreign.bundle("root"), b"", b"roots"):
        with pytest.raises(BrokerProblem) as refusal:
            learn(folder, pem)
        assert refusal.value.code == "roots-untrusted"
    assert [path.name for path in folder.iterdir()] == ["root.pem"]
