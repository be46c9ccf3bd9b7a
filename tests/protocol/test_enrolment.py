"""A new officer's key under a code: for one kit, one officer, until one hour."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protocol.enrolment import BadEnrolment, Newcomer, new_code, open_, seal
from protocol.identity import Role
from protocol.ids import new_ulid
from tests.protocol.certificates import NOW, Holder, authority, leaf

KIT, OFFICER = "kit-brugge-01", "jo.maes"
CODE = "1234 5678 9012 3456 7890"
ROOT = authority("Root")
ISSUING = authority("Officers", ROOT, 0)
LATER = NOW + timedelta(hours=72)


def newcomer(holder: Holder, officer_id: str = OFFICER) -> Newcomer:
    return Newcomer(officer_id, new_ulid(), holder.key, (holder.certificate, ISSUING.certificate))


JO = newcomer(leaf(Role.OFFICER, OFFICER, ISSUING))
SEALED = seal(CODE, KIT, JO, LATER)


def refusal(
    sealed: bytes = SEALED, code: str = CODE, kit: str = KIT, officer: str = OFFICER, **at: object
) -> str:
    with pytest.raises(BadEnrolment) as refused:
        open_(sealed, code, kit, officer, at.get("roots", [ROOT.certificate]), at.get("now", NOW))  # type: ignore[arg-type]
    return refused.value.code


def test_the_code_gives_the_key_on_its_own_kit() -> None:
    told = open_(SEALED, CODE.replace(" ", "-"), KIT, OFFICER, [ROOT.certificate], NOW)
    assert told.nonce == JO.nonce
    assert told.chain == JO.chain
    assert told.key.private_numbers() == JO.key.private_numbers()


def test_codes_are_twenty_digits_by_chance() -> None:
    codes = {new_code() for _ in range(50)}
    assert len(codes) == 50
    assert all(len(code.replace(" ", "")) == 20 and code.count(" ") == 4 for code in codes)


@pytest.mark.parametrize("code", ["1234 5678 9012 3456 7891", "1234", "", "x" * 20, "١" * 20])
def test_another_code_opens_nothing(code: str) -> None:
    assert refusal(code=code) == "enrolment-code"


def test_it_is_of_no_use_to_another_kit_or_officer() -> None:
    assert refusal(kit="kit-brugge-02") == "enrolment-code"
    assert refusal(officer="an.peeters") == "enrolment-code"


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    for at in (0, 16, 28, len(SEALED) - 1):
        broken = bytearray(SEALED)
        broken[at] ^= 1
        assert refusal(bytes(broken)) == "enrolment-code"


@pytest.mark.parametrize("sealed", [b"", bytes(28), bytes(5000)])
def test_what_cannot_be_one_is_refused(sealed: bytes) -> None:
    assert refusal(sealed) == "enrolment-untrusted"


def test_it_ends_and_only_the_authority_can_make_one() -> None:
    assert refusal(now=LATER) == "enrolment-expired"
    assert refusal(roots=[authority("Another").certificate]) == "enrolment-untrusted"
    for holder in (
        leaf(Role.OFFICER_KEY, OFFICER, ISSUING),  # certified for something else
        leaf(Role.OFFICER, "an.peeters", ISSUING),  # of another officer
    ):
        assert refusal(seal(CODE, KIT, newcomer(holder), LATER)) == "enrolment-untrusted"


def test_a_code_or_a_name_that_cannot_be_one_is_not_sealed() -> None:
    with pytest.raises(ValueError, match="20 digits"):
        seal("123", KIT, JO, LATER)
    with pytest.raises(ValueError, match="kit_id"):
        seal(CODE, "kit", JO, LATER)
    other = Newcomer(OFFICER, new_ulid(), ec.generate_private_key(ec.SECP256R1()), JO.chain)
    with pytest.raises(ValueError, match="chain"):
        seal(CODE, KIT, other, LATER)
