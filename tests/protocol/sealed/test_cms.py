"""The suite cms-p256-gcm: by itself, in a packet, and opened by Debian's openssl."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from protocol.sealed import cms
from protocol.sealed.archive import read_archive
from protocol.sealed.outer import read_outer, read_payload
from protocol.sealed.packet import BadPacket, Fault, kids_of, open_packet, without
from protocol.sealed.recipients import cms_recipient
from protocol.sealed.suites import Label, check_file, seal_file
from tests.protocol.certificates import NOW
from tests.protocol.sealed.application import PARTS, build_world, filled

KEYS = tuple(ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
STRANGER = ec.generate_private_key(ec.SECP256R1())
RECIPIENTS = tuple(cms_recipient(key.public_key()) for key in KEYS)
WORLD = replace(build_world(), recipients=RECIPIENTS)
SEALED = WORLD.packet(suite="cms-p256-gcm")
FILE = read_payload(read_outer(SEALED.data), SEALED.data)["biometric"]
CORE_SHA256 = bytes(range(32))
PLAIN = b"plain text " * 9000
ENVELOPE = cms.encrypt(PLAIN, [key.public_key() for key in KEYS], CORE_SHA256, "biometric")


def sealed(label, recipients):
    return filled(*seal_file([], label, recipients))


def refused(data, keys=KEYS):
    with pytest.raises(cms.BadCms) as refusal:
        cms.decrypt(data, keys)
    return refusal.value.code


@pytest.mark.parametrize("key", KEYS)
def test_every_recipient_opens_the_packet(key):
    opened = open_packet(SEALED.data, [key], WORLD.roots, WORLD.roots, NOW)
    assert opened.parts == PARTS
    left = without(SEALED.data, ["identity"])
    assert open_packet(left, [key], WORLD.roots, WORLD.roots, NOW, missing_ok=True).parts == PARTS[1:]


def test_keys_of_strangers_and_of_the_other_suite_open_nothing():
    for keys in ([STRANGER], WORLD.identities, []):
        with pytest.raises(BadPacket, match="wrong-recipient"):
            open_packet(SEALED.data, keys, WORLD.roots, WORLD.roots, NOW)


def test_keys_of_another_suite_cannot_be_sealed_to():
    with pytest.raises(ValueError, match="key"):
        build_world().packet(suite="cms-p256-gcm")
    with pytest.raises(ValueError, match="key"):
        WORLD.packet()
    with pytest.raises(ValueError, match="nobody"):
        cms.encrypt(b"", [], CORE_SHA256, "identity")


def openssl() -> str:
    """Debian's command, when it knows authenticated attributes: OpenSSL 3.0.22 of August 2026."""
    command = shutil.which("openssl")
    if command is None:
        pytest.skip("no openssl on this machine")
    said = subprocess.run([command, "version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"OpenSSL (\d+)\.(\d+)\.(\d+)", said)
    if version is None or (3, 0, 0) <= tuple(map(int, version.groups())) < (3, 0, 22):
        pytest.skip(f"needs the security update of Debian, has {said.strip()}")
    return command


@pytest.mark.parametrize("which", [0, 1])
def test_openssl_opens_a_group_of_the_packet_and_no_changed_one(which, tmp_path):
    command = openssl()
    key, sealed, out = tmp_path / "service.key", tmp_path / "group.der", tmp_path / "group.tar"
    key.write_bytes(KEYS[which].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    arguments = [command, "cms", "-decrypt", "-binary", "-inform", "DER"]
    arguments += ["-in", sealed, "-inkey", key, "-out", out]

    def opens(data: bytes) -> bool:
        sealed.write_bytes(data)
        out.unlink(missing_ok=True)
        return subprocess.run(arguments, capture_output=True, check=False).returncode == 0

    assert opens(FILE)
    assert read_archive(out.read_bytes())[1:] == [(part.name, part.data) for part in PARTS[1:]]
    for at in (FILE.index(b"biometric"), len(FILE) - 1, FILE.index(cms.read(FILE).nonce), len(FILE) // 2):
        changed = bytearray(FILE)
        changed[at] ^= 1
        assert not opens(bytes(changed))
        assert not out.exists() or out.read_bytes() == b""


def test_a_flipped_bit_anywhere_is_refused():
    small = cms.encrypt(b"x" * 40, [KEYS[0].public_key()], CORE_SHA256, "identity")
    codes = set()
    for at in range(len(small)):
        changed = bytearray(small)
        changed[at] ^= 1 << at % 8
        codes.add(refused(bytes(changed)))
    assert codes == {"cms-structure", "wrong-recipient", "header-mac", "payload-corrupt"}


def test_every_cut_and_every_addition_is_refused():
    for end in [*range(600), *range(600, len(ENVELOPE), 4001)]:
        assert refused(ENVELOPE[:end]) == "cms-structure"
    assert refused(ENVELOPE + b"\0") == "cms-structure"


def again(**changes):
    return cms._write(replace(cms.read(ENVELOPE), **changes))


SHARES = cms.read(ENVELOPE).recipients
OTHER = cms.encrypt(b"", [KEYS[0].public_key()], CORE_SHA256, "identity")


def shares(**changes):
    return tuple(replace(share, **changes) for share in SHARES)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (again(group="identity"), "payload-corrupt"),
        (again(core_sha256=bytes(32)), "payload-corrupt"),
        (again(nonce=bytes(12)), "payload-corrupt"),
        (again(tag=bytes(16)), "payload-corrupt"),
        (again(ciphertext=memoryview(b"")), "payload-corrupt"),
        (again(recipients=()), "wrong-recipient"),
        (again(recipients=shares(wrapped=bytes(40))), "header-mac"),
        (again(recipients=shares(point=b"\4" + bytes(64))), "header-mac"),
        (again(recipients=shares(point=cms.read(OTHER).recipients[0].point)), "header-mac"),
        (again(recipients=cms.read(OTHER).recipients), "payload-corrupt"),
        (again(nonce=bytes(13)), "cms-structure"),
        (again(tag=bytes(12)), "cms-structure"),
        (again(core_sha256=bytes(20)), "cms-structure"),
        (again(recipients=(replace(SHARES[0], wrapped=bytes(24)),)), "cms-structure"),
        (again(recipients=(replace(SHARES[0], key_id=bytes(20)),)), "cms-structure"),
        (again(recipients=(replace(SHARES[0], point=bytes(33)),)), "cms-structure"),
        (
            again().replace(bytes.fromhex("060960864801650304012e"), bytes.fromhex("0609608648016503040106")),
            "",
        ),
        (b"", "cms-structure"),
        (b"\x30\x80\x00\x00", "cms-structure"),
        (b"\x30\x85\x00\x00\x00\x00\x01\x00", "cms-structure"),
        (b"\x30\x03\x06\x01", "cms-structure"),
    ],
    ids=range(21),
)
def test_an_envelope_that_was_meddled_with_is_refused(data, code):
    assert refused(data) == (code or "cms-structure")


def test_recipients_in_another_order_are_not_der():
    swapped = bytearray(ENVELOPE)
    first, second = sorted(map(cms._recipient, SHARES))
    at = ENVELOPE.index(first)
    swapped[at : at + len(first) + len(second)] = second + first
    assert refused(bytes(swapped)) == "cms-structure"


LABEL = Label("cms-p256-gcm", b"core", "identity", kids_of(RECIPIENTS))


@pytest.mark.parametrize(
    ("label", "code"),
    [
        (LABEL, None),
        (replace(LABEL, core=b"other"), Fault.LABEL_MISMATCH),
        (replace(LABEL, group="biometric"), Fault.LABEL_MISMATCH),
        (replace(LABEL, recipients=LABEL.recipients[:1]), Fault.RECIPIENTS_MISMATCH),
        (
            replace(LABEL, recipients=kids_of([cms_recipient(STRANGER.public_key())])),
            Fault.RECIPIENTS_MISMATCH,
        ),
    ],
    ids=range(5),
)
def test_who_routes_a_packet_sees_label_and_recipients_without_a_key(label, code):
    data = sealed(LABEL, RECIPIENTS)
    if code is None:
        check_file(data, label)
        return
    with pytest.raises(BadPacket) as refusal:
        check_file(data, label)
    assert refusal.value.code == code


def test_a_file_of_one_suite_is_refused_in_the_other_and_never_opened_as_one():
    with pytest.raises(BadPacket) as no_age:
        check_file(sealed(LABEL, RECIPIENTS), replace(LABEL, suite="age1pq"))
    assert no_age.value.code in {Fault.AGE_HEADER, Fault.TRUNCATED}  # whether a byte is a line feed
    other = build_world()
    aged = sealed(replace(LABEL, suite="age1pq"), other.recipients)
    with pytest.raises(BadPacket) as refusal:
        check_file(aged, LABEL)
    assert refusal.value.code == Fault.CMS_STRUCTURE
