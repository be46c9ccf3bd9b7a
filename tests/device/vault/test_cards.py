"""An officer's own card: kept, replaced, and taken off again."""

from device.vault.cards import NO_CARD, Cards
from device.vault.database import Database


def write(database: Database, cards: Cards, officer: str, card: bytes) -> None:
    with database.transaction() as tx:
        cards.write(tx, officer, card)


def test_an_officer_has_the_card_written_last_or_none(database: Database) -> None:
    cards = Cards(database)
    assert cards.of("an.peeters") == NO_CARD
    for card in (b"1" * 32, b"2" * 32, NO_CARD, b"3" * 32):
        write(database, cards, "an.peeters", card)
        assert Cards(database).of("an.peeters") == card
    assert cards.of("jan.claes") == NO_CARD


def test_who_needs_no_card_has_no_line(database: Database) -> None:
    cards = Cards(database)
    write(database, cards, "an.peeters", b"1" * 32)
    write(database, cards, "an.peeters", NO_CARD)
    assert database.rows("SELECT * FROM card") == []
