"""Every attack on the data of a card is a test with bytes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha384
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.drivers.eid.certificates import BadCertificate, parse
from device.drivers.eid.files import ORDER, CardFiles
from device.drivers.eid.genuine import Proof
from device.drivers.eid.judge import judge
from device.drivers.eid.trust import Anchor, TrustStore
from device.emulators.eid.pki import Wanted, issue, new_family, new_key
from device.ports import CardReading
from tests.device.drivers.eid.conftest import CardMaker

NOW = datetime.now(UTC)


def held(folder: Path) -> CardFiles:
    def content(name: str) -> bytes:
        path = folder / name
        return path.read_bytes() if path.exists() else b""

    files = {file.name: content(f"{file.path[2:].hex().upper()}.bin") for file in ORDER}
    return CardFiles(content("carddata.bin"), **files)


def proof(folder: Path) -> Proof:
    digest = sha384(b"challenge").digest()
    key = load_pem_private_key((folder / "basic-key.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA384()))))
    return Proof(digest, r.to_bytes(48, "big") + s.to_bytes(48, "big"))


@pytest.mark.parametrize(
    ("defect", "reasons"),
    [
        ("identity-tampered", ("identity-signature",)),
        ("identity-signature", ("identity-signature",)),
        ("address-tampered", ("address-signature",)),
        ("truncated-file", ("identity-signature", "tlv")),
        ("truncated-tlv", ("tlv",)),
        ("unknown-month", ("birth-date",)),
        ("bad-encoding", ("encoding",)),
        ("national-number", ("encoding",)),
        ("photo-hash", ("photo-hash",)),
        ("photo-missing", ("photo-hash",)),
        ("photo-format", ("photo-format",)),
        ("chip-number", ("chip-number",)),
        ("basic-key-hash", ("basic-key-hash",)),
        ("other-holder", ("auth-cert-mismatch",)),
        ("foreign-certificate", ("auth-cert-mismatch",)),
        ("rrn-garbage", ("rrn-certificate",)),
        ("rrn-usage", ("rrn-certificate",)),
        ("rrn-expired", ("rrn-expired",)),
        ("rrn-issued-by-citizen-ca", ("rrn-chain",)),
        ("self-made-root", ("untrusted-root",)),
    ],
)
def test_a_bad_card_is_rejected_with_the_reason_that_is_true(
    card: CardMaker, trust: TrustStore, defect: str, reasons: tuple[str, ...]
) -> None:
    folder = card(defects=(defect,))
    reading = judge(held(folder), trust, NOW, proof(folder))
    assert (reading.verdict, reading.reasons) == ("rejected", reasons)
    assert (reading.identity, reading.address, reading.photo, reading.card_number) == (None, None, None, "")


@pytest.mark.parametrize(
    ("wishes", "flags"),
    [
        ({"defects": ("expired",)}, ("card-expired",)),
        ({"defects": ("no-certificates",)}, ("no-auth-certificate",)),
        ({"defects": ("expired", "no-certificates")}, ("card-expired", "no-auth-certificate")),
        ({}, ()),
    ],
)
def test_what_an_officer_must_know_of_a_good_card_is_flagged(
    card: CardMaker, trust: TrustStore, wishes: dict[str, tuple[str, ...]], flags: tuple[str, ...]
) -> None:
    folder = card(**wishes)
    reading = judge(held(folder), trust, NOW, proof(folder))
    assert (reading.verdict, reading.flags, reading.genuine) == ("verified", flags, "proven")


@pytest.mark.parametrize(
    ("generation", "verdict"),
    [("1.8", "verified"), ("1.7-ec", "verified"), ("1.7-rsa", "verified"), ("1.1", "weak")],
)
def test_the_last_day_of_the_card_still_counts(
    card: CardMaker, trust: TrustStore, generation: str, verdict: str
) -> None:
    files = held(card(generation=generation))
    for day, expired in (
        (datetime(2032, 7, 5, 12, tzinfo=UTC), False),
        (datetime(2032, 7, 6, 12, tzinfo=UTC), True),
    ):
        reading = judge(files, trust, day)
        assert reading.verdict == verdict
        assert ("card-expired" in reading.flags) is expired


@pytest.mark.parametrize("name", [file.name for file in ORDER])
@pytest.mark.parametrize("content", [b"", bytes(64), b"\x30\x82\xff\xff", b"\xff" * 300])
def test_no_file_can_be_missing_or_nonsense_unnoticed(
    card: CardMaker, trust: TrustStore, name: str, content: bytes
) -> None:
    files = replace(held(card()), **{name: content})
    reading = judge(files, trust, NOW)
    harmless = {"root"} | ({"authentication"} if not any(content) else set())
    assert (reading.verdict == "verified") is (name in harmless)


def test_trailing_zeros_of_a_signature_belong_to_the_address_and_of_the_address_do_not(
    card: CardMaker, trust: TrustStore
) -> None:
    files = held(card(generation="1.7-ec"))
    assert len(files.identity_signature) == 256
    assert files.address.endswith(bytes(20))
    trimmed = replace(files, identity_signature=files.identity_signature.rstrip(b"\0"))
    assert judge(trimmed, trust, NOW).reasons == ("address-signature",)
    assert judge(replace(files, address=files.address.rstrip(b"\0")), trust, NOW).verdict == "verified"
    longer = replace(files, identity_signature=files.identity_signature[:-1] + b"\x01")
    assert judge(longer, trust, NOW).reasons == ("identity-signature", "address-signature")


def test_a_copy_of_new_data_on_an_old_chip_does_not_escape_the_proof(
    card: CardMaker, trust: TrustStore
) -> None:
    folder = card()
    files = held(folder)
    old = replace(files, card_data=files.card_data[:21] + b"\x17" + files.card_data[22:])
    assert judge(old, trust, NOW).genuine == "failed"
    assert judge(old, trust, NOW, proof(folder)).genuine == "proven"


def test_a_chip_that_says_it_is_new_must_prove_it_even_with_old_data(
    card: CardMaker, trust: TrustStore
) -> None:
    files = held(card(generation="1.7-ec"))
    boasting = replace(files, card_data=files.card_data[:21] + b"\x18" + files.card_data[22:])
    assert judge(boasting, trust, NOW).flags == ("not-genuine",)


@pytest.mark.parametrize("answer", [b"", bytes(96), b"\xff" * 96, bytes(95)])
def test_a_wrong_answer_proves_nothing(card: CardMaker, trust: TrustStore, answer: bytes) -> None:
    reading = judge(held(card()), trust, NOW, Proof(bytes(48), answer))
    assert (reading.verdict, reading.genuine, reading.flags) == ("verified", "failed", ("not-genuine",))


def test_the_proof_of_another_challenge_is_refused(card: CardMaker, trust: TrustStore) -> None:
    folder = card()
    stale = replace(proof(folder), digest=sha384(b"another").digest())
    assert judge(held(folder), trust, NOW, stale).genuine == "failed"


def test_a_register_not_yet_valid_is_not_believed(card: CardMaker, trust: TrustStore) -> None:
    assert judge(held(card()), trust, NOW - timedelta(days=90)).reasons == ("rrn-certificate",)


def test_under_a_root_of_belgium_the_register_must_bear_its_name(card: CardMaker, trust: TrustStore) -> None:
    """Test roots name it otherwise, so the rule is for pinned roots alone."""
    files = held(card())
    belgian = TrustStore(tuple(Anchor(anchor.certificate, pinned=True) for anchor in trust.anchors))
    assert judge(files, belgian, NOW).reasons == ("rrn-certificate",)


def test_a_pinned_root_leaves_no_mark_of_a_test(trust: TrustStore, card: CardMaker) -> None:
    assert judge(held(card()), trust, NOW).test_trust
    family = new_family("ec")
    named = issue("ec", Wanted("RRN", repudiate=True), family.rrn.key, family.root)
    anchors = TrustStore((Anchor(family.root.certificate, pinned=True),))
    register = replace(held(card()), rrn=named.der)
    assert "rrn-certificate" not in judge(register, anchors, NOW).reasons
    assert not judge(register, anchors, NOW).test_trust


def test_a_citizen_cannot_be_a_register(card: CardMaker, trust: TrustStore) -> None:
    """A certificate under the root with the usage of a citizen, or that is a CA, may not sign identities."""
    family = new_family("ec")
    anchors = TrustStore((Anchor(family.root.certificate, pinned=False),))
    for wanted in (Wanted("RRN"), Wanted("RRN", ca=True)):
        holder = issue("ec", wanted, new_key("ec"), family.root)
        assert "rrn-certificate" in judge(replace(held(card()), rrn=holder.der), anchors, NOW).reasons


def test_bytes_behind_a_certificate_are_zeros_or_it_is_none(card: CardMaker) -> None:
    file = held(card()).rrn
    assert isinstance(parse(file), x509.Certificate)
    with pytest.raises(BadCertificate):
        parse(file[:-1] + b"\x01")


fuzz = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@fuzz
@given(st.sampled_from([file.name for file in ORDER]), st.integers(0, 5000), st.integers(1, 255))
def test_one_changed_byte_anywhere_is_rejected_or_harmless(
    card: CardMaker, trust: TrustStore, name: str, at: int, change: int
) -> None:
    files = held(card())
    data = bytearray(getattr(files, name))
    data[at % len(data)] ^= change
    reading = judge(replace(files, **{name: bytes(data)}), trust, NOW)
    assert reading.verdict in ("verified", "rejected")
    if name in ("identity", "identity_signature", "photo", "rrn", "basic_key"):
        assert reading.verdict == "rejected"


@fuzz
@given(st.lists(st.binary(max_size=200), min_size=len(ORDER), max_size=len(ORDER)), st.binary(max_size=40))
def test_any_bytes_for_a_card_are_rejected(
    trust: TrustStore, contents: list[bytes], card_data: bytes
) -> None:
    files = CardFiles(card_data, **{file.name: data for file, data in zip(ORDER, contents, strict=True)})
    reading = judge(files, trust, NOW)
    assert isinstance(reading, CardReading)
    assert reading.verdict == "rejected"
