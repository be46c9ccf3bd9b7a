"""A recipient list that came from the fleet: it counts by its signature, and never takes the kit back."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.recipients import Recipients
from device.errors import Code, KitError
from protocol.instant import write_instant
from protocol.sealed import agekeys
from protocol.sealed.recipients import Recipient, RecipientList, receipt_key, sign_list

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
SERVICE = "be.eid.application"


class Lists:
    def __init__(self, folder: Path) -> None:
        self.key, self._receipts = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.file, self.brought = folder / "recipients.jws", folder / "list.jws"
        self.recipients = Recipients(self.file, self.key.public_key(), self.brought)
        self._to = tuple(Recipient(f"key-{n}", agekeys.generate()[1]) for n in range(2))

    def text(
        self, days_ago: float, key: ec.EllipticCurvePrivateKey | None = None, service: str = SERVICE
    ) -> str:
        issued = NOW - days_ago * DAY
        held = RecipientList(
            service_id=service,
            issued=write_instant(issued),
            expires=write_instant(issued + 30 * DAY),
            recipients=self._to,
            receipt_keys=(receipt_key(self._receipts.public_key()),),
        )
        return sign_list(held, key or self.key)

    def age(self) -> int:
        """Days since the list that is used was issued."""
        held = self.recipients.valid(SERVICE, NOW)
        return (NOW - datetime.fromisoformat(held.issued)).days


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    made = Lists(tmp_path)
    made.file.write_text(made.text(20))
    return made


def test_the_one_that_was_issued_last_is_used_whoever_brought_it(lists: Lists) -> None:
    assert lists.age() == 20
    lists.brought.write_text(lists.text(2))
    assert lists.age() == 2
    lists.file.write_text(lists.text(1))
    assert lists.age() == 1


def test_a_kit_whose_own_list_has_ended_seals_to_the_one_that_came(lists: Lists) -> None:
    lists.file.write_text(lists.text(31))
    with pytest.raises(KitError) as ended:
        lists.age()
    assert ended.value.code is Code.RECIPIENTS_EXPIRED
    lists.brought.write_text(lists.text(3))
    assert lists.age() == 3
    assert lists.recipients.receipt_keys(NOW)


@pytest.mark.parametrize(
    "write",
    [
        lambda lists: lists.text(0, ec.generate_private_key(ec.SECP256R1())),
        lambda lists: lists.text(0, service="be.parking-card"),
        lambda lists: lists.text(25),
        lambda lists: "no list",
        lambda lists: "",
    ],
    ids=["foreign-key", "other-service", "older", "no-list", "empty"],
)
def test_what_does_not_count_changes_nothing(lists: Lists, write: Callable[[Lists], str]) -> None:
    lists.brought.write_text(write(lists))
    assert lists.age() == 20
