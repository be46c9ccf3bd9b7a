import base64
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocol import canonical, signed
from protocol.sealed import age
from protocol.sealed.recipients import (
    BadRecipients,
    ReceiptKey,
    Recipient,
    RecipientList,
    cms_recipient,
    receipt_key,
    sign_list,
    verify_list,
)

AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
LIST_KEY = ec.generate_private_key(ec.SECP256R1())
PIN = LIST_KEY.public_key()
RECEIPT_KEY = ec.generate_private_key(ec.SECP256R1())
FIRST, SECOND = (Recipient(kid=f"key-{at}", age1pq=age.generate()[1]) for at in (1, 2))


CMS, OTHER_CMS = (cms_recipient(ec.generate_private_key(ec.SECP256R1()).public_key()) for _ in range(2))


def listed(**changes):
    members = {
        "service_id": "be.ibz.belpic",
        "issued": "2026-11-20T00:00:00Z",
        "expires": "2026-12-20T00:00:00Z",
        "recipients": (FIRST, SECOND),
        "receipt_keys": (receipt_key(RECEIPT_KEY.public_key()),),
    }
    return RecipientList(**(members | changes))


def signed_anyway(value, key=LIST_KEY):
    payload = value if isinstance(value, bytes) else canonical.dumps(msgspec.to_builtins(value))
    return signed.sign("recipients", payload, key, signed.key_id(key.public_key()))


def refused(token, at=AT, pin=PIN):
    with pytest.raises(BadRecipients) as refusal:
        verify_list(token, pin, at)
    return refusal.value.code


def test_a_list_signed_by_the_pinned_key_is_believed_while_it_lasts():
    token = sign_list(listed(), LIST_KEY)
    held = verify_list(token + "\n", PIN, AT)
    assert held == listed()
    assert held.public_receipt_keys() == {signed.key_id(RECEIPT_KEY.public_key()): RECEIPT_KEY.public_key()}


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (datetime(2026, 12, 19, 23, 59, 59, tzinfo=UTC), ""),
        (datetime(2026, 12, 20, tzinfo=UTC), "recipients-expired"),
        (datetime(2036, 12, 20, tzinfo=UTC), "recipients-expired"),
        (datetime(2026, 11, 19, tzinfo=UTC), ""),
        (datetime(2026, 11, 18, 23, 59, 59, tzinfo=UTC), "recipients-untrusted"),
        (datetime(1970, 1, 1, tzinfo=UTC), "recipients-untrusted"),
    ],
)
def test_a_list_is_believed_between_issue_and_expiry_give_or_take_a_day_of_clock(at, code):
    token = sign_list(listed(), LIST_KEY)
    if code:
        assert refused(token, at) == code
    else:
        verify_list(token, PIN, at)


def test_a_list_that_lasts_no_moment_is_not_believed_by_a_clock_that_is_behind():
    soon = "2026-11-23T10:00:00Z"
    assert refused(signed_anyway(listed(issued=soon, expires=soon))) == "recipients-expired"


def test_a_list_signed_by_another_key_is_untrusted():
    other = ec.generate_private_key(ec.SECP256R1())
    assert refused(signed_anyway(listed(), other)) == "recipients-untrusted"
    assert refused(sign_list(listed(), LIST_KEY), pin=other.public_key()) == "recipients-untrusted"
    assert refused("") == "recipients-untrusted"


def spki(key):
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


OTHER_CURVE = ec.generate_private_key(ec.SECP384R1()).public_key()
OTHER_KIND = ed25519.Ed25519PrivateKey.generate().public_key()


@pytest.mark.parametrize(
    "made",
    [
        listed(v=2),
        listed(service_id="IBZ"),
        listed(issued="yesterday"),
        listed(issued="2026-02-30T00:00:00Z"),
        listed(recipients=()),
        listed(recipients=(FIRST, FIRST)),
        listed(recipients=(FIRST, Recipient(kid="again", age1pq=FIRST.age1pq))),
        listed(recipients=(FIRST,)),
        listed(suite="cms-p256-gcm"),
        listed(suite="age1"),
        listed(recipients=(FIRST, CMS)),
        listed(recipients=(FIRST, Recipient(kid="both", age1pq=SECOND.age1pq, spki=CMS.spki))),
        listed(recipients=(FIRST, Recipient(kid="none"))),
        listed(suite="cms-p256-gcm", recipients=(CMS, Recipient(kid="named", spki=OTHER_CMS.spki))),
        listed(suite="cms-p256-gcm", recipients=(CMS, Recipient(kid="a", spki="AAAA"))),
        listed(expires="2026-12-20T00:00:01Z"),
        {name: value for name, value in msgspec.to_builtins(listed()).items() if name != "suite"},
        {name: value for name, value in msgspec.to_builtins(listed()).items() if name != "test"},
        listed(recipients=(Recipient(kid="a", age1pq="age1pq1"),)),
        listed(recipients=(Recipient(kid="a b", age1pq=FIRST.age1pq),)),
        listed(receipt_keys=()),
        listed(receipt_keys=(receipt_key(RECEIPT_KEY.public_key()),) * 2),
        listed(receipt_keys=(ReceiptKey(kid="a", spki="AAAA"),)),
        listed(receipt_keys=(ReceiptKey(kid="a", spki="?"),)),
        listed(receipt_keys=(ReceiptKey(kid="a", spki=spki(OTHER_CURVE)),)),
        listed(receipt_keys=(ReceiptKey(kid="a", spki=spki(OTHER_KIND)),)),
        b"{}",
        b"[1]",
        b"{ }",
    ],
    ids=lambda made: str(made)[:70],
)
def test_a_list_that_breaks_a_rule_is_untrusted_whoever_signed_it(made):
    assert refused(signed_anyway(made)) == "recipients-untrusted"


def test_a_list_that_never_was_valid_is_expired_and_cannot_be_issued():
    backwards = listed(expires="2026-11-19T00:00:00Z")
    assert refused(signed_anyway(backwards)) == "recipients-expired"
    with pytest.raises(BadRecipients):
        sign_list(backwards, LIST_KEY)


def test_life_is_measured_in_instants_with_a_zone():
    last = datetime(2026, 12, 20, 0, 59, tzinfo=ZoneInfo("Europe/Brussels"))  # a minute before the list ends
    token = sign_list(listed(), LIST_KEY)
    assert verify_list(token, PIN, last) == listed()
    assert refused(token, last + timedelta(minutes=1)) == "recipients-expired"


def test_one_recipient_is_enough_for_a_list_marked_as_made_for_tests():
    made = listed(recipients=(FIRST,), test=True)
    assert verify_list(sign_list(made, LIST_KEY), PIN, AT).test


def test_a_list_of_the_other_suite_has_p256_keys_under_their_own_ids():
    made = listed(suite="cms-p256-gcm", recipients=(CMS, OTHER_CMS))
    held = verify_list(sign_list(made, LIST_KEY), PIN, AT)
    assert [signed.key_id(one.public_key()) for one in held.recipients] == [CMS.kid, OTHER_CMS.kid]


def test_a_list_older_than_one_seen_before_is_refused_and_the_same_one_is_not():
    token = sign_list(listed(), LIST_KEY)
    issued = datetime(2026, 11, 20, tzinfo=UTC)
    assert verify_list(token, PIN, AT, newest=issued) == listed()
    with pytest.raises(BadRecipients, match="recipients-untrusted: older"):
        verify_list(token, PIN, AT, newest=issued + timedelta(milliseconds=1))
