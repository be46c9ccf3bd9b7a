from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from device.drivers.eid.trust import BELGIUM_ROOTS, load_trust
from device.emulators.eid.pki import Wanted, issue, new_family, new_key
from device.errors import Code, KitError


def test_roots_are_found_in_der_and_pem_and_are_test_roots(tmp_path: Path) -> None:
    first, second = new_family("ec").root, new_family("ec").root
    (tmp_path / "a.der").write_bytes(first.der)
    pem = first.certificate.public_bytes(Encoding.PEM) + second.certificate.public_bytes(Encoding.PEM)
    (tmp_path / "b.pem").write_bytes(pem)
    (tmp_path / "README").write_text("no certificate")
    store = load_trust(tmp_path)
    assert len(store.anchors) == 3
    assert store.test
    assert len(BELGIUM_ROOTS) == 5


def test_a_kit_that_is_no_demo_refuses_a_root_that_is_not_belgiums(tmp_path: Path) -> None:
    (tmp_path / "a.der").write_bytes(new_family("ec").root.der)
    with pytest.raises(KitError) as caught:
        load_trust(tmp_path, test=False)
    assert caught.value.code is Code.BAD_CONFIG
    assert "not Belgium's" in caught.value.detail


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"\x30\x82\xff"]
)
def test_a_file_that_is_no_certificate_stops_the_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "root.der").write_bytes(content)
    with pytest.raises(KitError) as caught:
        load_trust(tmp_path)
    assert caught.value.code is Code.BAD_CONFIG


def test_a_certificate_that_may_issue_nothing_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "root.der").write_bytes(issue("ec", Wanted("nobody"), new_key("ec"), None).der)
    with pytest.raises(KitError):
        load_trust(tmp_path)


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_an_empty_or_missing_folder_is_no_trust(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(KitError):
        load_trust(tmp_path / name)
