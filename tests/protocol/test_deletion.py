"""A deletion certificate is believed of the kit that signed it, and names nobody."""

from datetime import UTC, datetime

import msgspec
import pytest

from protocol import canonical, signed
from protocol.deletion import KIND, BadDeletion, Deletion, sign_deletion, verify_deletion
from protocol.identity import Role
from tests.protocol.certificates import authority, leaf

ROOT = authority("Root")
ISSUING = authority("Issuing", ROOT, 0)
KIT = leaf(Role.KIT_SIGN, "kit-a", ISSUING)
CHAIN = (KIT.certificate, ISSUING.certificate)
NOW = KIT.certificate.not_valid_before_utc
DELETION = Deletion(
    kit_id="kit-a",
    visit_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
    what="captures",
    why="draft-limit",
    at="2026-11-23T09:30:00.125Z",
)


def refused(token: str, at: datetime = NOW) -> str:
    with pytest.raises(BadDeletion) as problem:
        verify_deletion(token, [ROOT.certificate], at)
    return problem.value.code


def test_it_comes_back_as_it_was_signed() -> None:
    token = sign_deletion(DELETION, KIT.key, CHAIN)
    assert len(token) < 12_000
    assert verify_deletion(token, [ROOT.certificate], NOW) == DELETION


@pytest.mark.parametrize(
    "changes",
    [
        {"visit_id": "Roos Vandekanarie"},
        {"why": "because"},
        {"what": "everything"},
        {"at": "yesterday"},
        {"at": "2026-02-30T09:30:00.125Z"},
        {"name": "Roos"},
        {"v": 2},
    ],
)
def test_what_is_no_certificate_is_refused_though_signed(changes: dict[str, object]) -> None:
    payload = canonical.dumps({**msgspec.to_builtins(DELETION), **changes})
    token = signed.sign(KIND, payload, KIT.key, signed.key_id(KIT.key.public_key()), CHAIN)
    assert refused(token) == "deletion-malformed"


def test_another_signer_another_time_and_changed_words_are_not_believed() -> None:
    token = sign_deletion(DELETION, KIT.key, CHAIN)
    stranger = leaf(Role.KIT_SIGN, "kit-b", ISSUING)
    own_root = authority("Other")
    other = leaf(Role.KIT_SIGN, "kit-a", own_root)
    for bad in (
        sign_deletion(DELETION, stranger.key, (stranger.certificate, ISSUING.certificate)),
        sign_deletion(DELETION, other.key, (other.certificate, own_root.certificate)),
        ".".join((token.split(".")[0], token.split(".")[1][:-4] + "AAAA", token.split(".")[2])),
    ):
        assert refused(bad) == "deletion-untrusted"
    assert refused(token, datetime(2070, 1, 1, tzinfo=UTC)) == "deletion-untrusted"
