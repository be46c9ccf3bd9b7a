"""The emulated card against the manual: statuses, lengths, PIN and keys."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from device.emulators.eid.applet import Applet
from device.emulators.eid.held import BadCard, load_card
from device.emulators.eid.maker import make_card
from device.emulators.eid.pace import Pace
from device.emulators.eid.pki import Pki
from device.emulators.eid.spec import Spec

RIGHT_PIN = "0020000108241234FFFFFFFFFF"
WRONG_PIN = "0020000108249999FFFFFFFFFF"


def inserted(folder: Path, generation: str) -> Applet:
    make_card(Spec(generation=generation), Pki(folder / "pki"), folder).write(folder / "card")  # type: ignore[arg-type]
    return Applet(load_card(folder / "card"))


@pytest.fixture
def modern(tmp_path: Path) -> Applet:
    return inserted(tmp_path, "1.8")


def say(applet: Applet, command: str) -> str:
    return applet.exchange(bytes.fromhex(command)).hex().upper()


def test_files_are_selected_with_and_without_the_master_file(modern: Applet) -> None:
    assert say(modern, "00B0000010") == "6986"
    for select in ("00A4080C063F00DF014031", "00A4080C04DF014031", "00A4020C024031"):
        assert say(modern, select) == "9000"
    assert say(modern, "00B0000002") == "010C9000"
    assert say(modern, "00A4080C063F00DF014099") == "6A82"
    assert say(modern, "00A4080C023F00") == "9000"
    assert say(modern, "00B0000010") == "6986"


def test_lengths_are_as_strict_as_t0(modern: Applet) -> None:
    assert say(modern, "00A4080C063F00DF01403100") == "6700"  # data and an Le
    say(modern, "00A4080C063F00DF014040")
    assert say(modern, "00B00000FC") == "6C78"
    assert say(modern, "00B0000000") == "6C78"
    assert say(modern, "00B0007801") == "6B00"
    assert say(modern, "00B0007701").endswith("9000")
    assert say(modern, "80E4000000") == "6C1C"
    assert say(modern, "00F2000000") == "6D00"
    assert say(modern, "A0A4000000") == "6E00"
    assert say(modern, "00B0") == "6700"


def test_the_tries_of_the_pin_go_down_and_the_card_blocks(modern: Applet) -> None:
    assert say(modern, "00200001") == "63C3"
    assert [say(modern, WRONG_PIN) for _ in range(2)] == ["63C2", "63C1"]
    assert say(modern, "80E400011F")[56:] == "01FFFF9000"
    assert say(modern, RIGHT_PIN) == "9000"
    assert say(modern, "00200001") == "9000"
    assert say(modern, "80E6000000") == "9000"
    assert say(modern, "00200001") == "63C3"
    assert [say(modern, WRONG_PIN) for _ in range(4)] == ["63C2", "63C1", "63C0", "6983"]
    assert say(modern, RIGHT_PIN) == "6983"
    modern.reset()
    assert say(modern, "00200001") == "6983"


@pytest.mark.parametrize(("generation", "algorithm", "length"), [("1.8", "02", 48), ("1.7-rsa", "08", 32)])
def test_a_signature_needs_the_pin_and_verifies(
    tmp_path: Path, generation: str, algorithm: str, length: int
) -> None:
    applet = inserted(tmp_path, generation)
    digest = bytes(range(length))
    sign = f"002A9E9A{length:02X}{digest.hex()}"
    assert say(applet, sign) == "6985"
    assert say(applet, f"002241B6050480{algorithm}8482") == "9000"
    assert say(applet, sign) == "6982"
    say(applet, RIGHT_PIN)
    status = say(applet, sign)
    assert status[:2] == "61"
    signature = applet.exchange(bytes.fromhex("00C00000" + status[2:]))[:-2]
    key = load_card(tmp_path / "card").auth_key
    if isinstance(key, rsa.RSAPrivateKey):
        key.public_key().verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    else:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
        der = utils.encode_dss_signature(r, s)
        key.public_key().verify(der, digest, ec.ECDSA(utils.Prehashed(hashes.SHA384())))


def test_only_a_new_card_that_has_its_key_proves_itself(tmp_path: Path) -> None:
    digest = hashlib.sha384(b"fresh").digest()
    ask = "0088028132" + "9430" + digest.hex()
    applet = inserted(tmp_path, "1.8")
    assert say(applet, ask) == "6160"
    assert say(applet, "00C00000FF") == "6C60"
    first = applet.exchange(bytes.fromhex("00C0000020"))
    assert first[-2:] == b"\x61\x40"
    answer = first[:-2] + applet.exchange(bytes.fromhex("00C0000040"))[:-2]
    key = load_der_public_key((tmp_path / "card" / "DF014040.bin").read_bytes())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = utils.encode_dss_signature(
        int.from_bytes(answer[:48], "big"), int.from_bytes(answer[48:], "big")
    )
    key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA384())))
    assert say(applet, "00C0000010") == "6985"
    (tmp_path / "card" / "basic-key.pem").unlink()
    assert say(Applet(load_card(tmp_path / "card")), ask) == "6A88"
    assert say(inserted(tmp_path / "old", "1.7-ec"), ask) == "6D00"


def test_a_real_card_takes_its_time() -> None:
    old, new = (Pace(bytes.fromhex(atr)) for atr in ("3B9813400AA503010101AD1311", "3B7F9600"))
    assert old.seconds(1) - old.seconds(0) == pytest.approx(279e-6, rel=0.01)
    assert new.seconds(1) - new.seconds(0) == pytest.approx(48e-6, rel=0.01)


def test_an_empty_folder_holds_no_card(tmp_path: Path) -> None:
    with pytest.raises(BadCard):
        load_card(tmp_path)
    (tmp_path / "DF014031.bin").write_bytes(b"")
    (tmp_path / "basic-key.pem").write_bytes(b"nonsense")
    with pytest.raises(BadCard):
        load_card(tmp_path)
