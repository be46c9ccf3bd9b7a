"""Accounts, signing in, sessions that end, and tries that are counted."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from server.auth import accounts, csrf, passwords, sign_in, throttle
from server.auth.roles import MAY, ROLES
from server.auth.sign_in import SignInFailed
from server.db.scope import EVERYONE
from server.db.tables import Account, SignIn
from tests.server.town import BRUGGE, PASSWORD, Town

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def enter(town: Town, name: str = "planner.brugge", password: str = PASSWORD, at: datetime = NOON) -> str:
    return sign_in.sign_in(town.database, name, password, "10.0.0.1", at)[0]


def test_there_is_no_account_that_nobody_made(town: Town) -> None:
    with town.database.reading(EVERYONE) as db:
        assert {row.name for row in db.scalars(select(Account))} == {
            "planner.brugge",
            "inclusie.brugge",
            "beheer.brugge",
            "planner.damme",
            "vloot",
        }


def test_the_right_password_opens_a_session(town: Town) -> None:
    actor = sign_in.who(town.database, enter(town), NOON)
    assert actor is not None
    assert (actor.name, actor.role, actor.tenant) == ("planner.brugge", "planner", BRUGGE)


def test_every_session_has_its_own_token_and_the_table_holds_none(town: Town) -> None:
    first, second = enter(town), enter(town)
    assert first != second
    with town.database.reading(EVERYONE) as db:
        assert {first, second}.isdisjoint(row.token_sha256 for row in db.scalars(select(SignIn)))


@pytest.mark.parametrize(
    ("name", "password"), [("planner.brugge", "een-ander-wachtwoord"), ("niemand", PASSWORD)]
)
def test_wrong_name_and_wrong_password_look_the_same(town: Town, name: str, password: str) -> None:
    with pytest.raises(SignInFailed, match="wrong"):
        enter(town, name, password)


def test_after_five_wrong_tries_even_the_right_password_waits(town: Town) -> None:
    for _ in range(5):
        with pytest.raises(SignInFailed, match="wrong"):
            enter(town, password="x" * 20)
    with pytest.raises(SignInFailed, match="throttled"):
        enter(town)
    assert enter(town, at=NOON + timedelta(minutes=16))


def test_one_address_cannot_try_many_names(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        for _ in range(sign_in.TRIES_A_PLACE):
            throttle.take(db, "sign-in", "10.0.0.1", sign_in.TRIES_A_PLACE, sign_in.WINDOW, NOON)
    with pytest.raises(SignInFailed, match="throttled"):
        enter(town, "planner.damme")


def test_a_session_ends_after_half_an_hour_without_a_page(town: Town) -> None:
    token = enter(town)
    assert sign_in.who(town.database, token, NOON + timedelta(minutes=29))
    assert sign_in.who(town.database, token, NOON + timedelta(minutes=58))
    assert not sign_in.who(town.database, token, NOON + timedelta(minutes=89))


def test_watching_does_not_keep_a_session_alive(town: Town) -> None:
    token = enter(town)
    assert sign_in.who(town.database, token, NOON + timedelta(minutes=29), touch=False)
    assert not sign_in.who(town.database, token, NOON + timedelta(minutes=31), touch=False)


def test_a_session_ends_after_ten_hours_whatever_happens(town: Town) -> None:
    token = enter(town)
    for minutes in range(20, 600, 20):
        assert sign_in.who(town.database, token, NOON + timedelta(minutes=minutes))
    assert not sign_in.who(town.database, token, NOON + timedelta(minutes=600))


def test_signing_out_and_disabling_end_a_session_at_once(town: Town) -> None:
    first, second = enter(town), enter(town)
    sign_in.sign_out(town.database, first)
    assert not sign_in.who(town.database, first, NOON)
    assert sign_in.who(town.database, second, NOON)
    with town.database.writing(EVERYONE) as db:
        for account in db.scalars(select(Account).where(Account.name == "planner.brugge")):
            account.disabled = True
    assert not sign_in.who(town.database, second, NOON)
    with pytest.raises(SignInFailed, match="wrong"):
        enter(town)


def test_old_sessions_and_counts_are_swept_away(town: Town) -> None:
    enter(town)
    later = NOON + timedelta(days=2)
    with town.database.writing(EVERYONE) as db:
        sign_in.sweep(db, later)
        throttle.sweep(db, later)
    with town.database.reading(EVERYONE) as db:
        assert db.scalars(select(SignIn)).all() == []


@pytest.mark.parametrize(
    ("name", "role", "tenant", "password", "code"),
    [
        ("X", "planner", BRUGGE, PASSWORD, "account-name"),
        ("met spatie", "planner", BRUGGE, PASSWORD, "account-name"),
        ("nieuw", "chef", BRUGGE, PASSWORD, "unknown-role"),
        ("nieuw", "planner", None, PASSWORD, "role-tenant"),
        ("nieuw", "fleet-admin", BRUGGE, PASSWORD, "role-tenant"),
        ("nieuw", "planner", "0207999999", PASSWORD, "unknown-municipality"),
        ("planner.brugge", "planner", BRUGGE, PASSWORD, "account-exists"),
        ("nieuw", "planner", BRUGGE, "kort", "password"),
        ("nieuw", "planner", BRUGGE, "aaaaaaaaaaaaaaaaaaaa", "password"),
        ("nieuw", "planner", BRUGGE, "x1" * 100, "password"),
    ],
)
def test_an_account_that_does_not_fit_is_refused(
    town: Town, name: str, role: str, tenant: str | None, password: str, code: str
) -> None:
    with pytest.raises(accounts.BadAccount) as caught, town.database.writing(EVERYONE) as db:
        accounts.add(db, name, role, tenant, password, NOON)
    assert caught.value.code == code
    assert password not in str(caught.value) or len(password) < 5


def test_a_password_is_kept_as_argon2id_and_never_twice_the_same() -> None:
    first, second = passwords.seal(PASSWORD), passwords.seal(PASSWORD)
    assert first.startswith("$argon2id$")
    assert first != second
    assert passwords.fits(PASSWORD, first)
    assert not passwords.fits(PASSWORD + "x", first)
    assert not passwords.fits("x" * 10_000, first)


def test_counting_starts_anew_after_its_window(town: Town) -> None:
    window = timedelta(minutes=1)
    with town.database.writing(EVERYONE) as db:
        taken = [throttle.take(db, "w", "a", 2, window, NOON) for _ in range(3)]
        assert taken == [True, True, False]
        assert throttle.take(db, "w", "b", 2, window, NOON)
        assert throttle.take(db, "w", "a", 2, window, NOON + window)


def test_a_form_token_fits_one_cookie_only() -> None:
    token = csrf.token(b"secret", "cookie")
    assert csrf.fits(b"secret", "cookie", token)
    assert not csrf.fits(b"secret", "cookie2", token)
    assert not csrf.fits(b"secret2", "cookie", token)
    assert not csrf.fits(b"secret", "", csrf.token(b"secret", ""))
    assert not csrf.fits(b"secret", "cookie", "é")


def test_who_sees_citizens_and_who_does_not() -> None:
    assert set(MAY) == set(ROLES)
    assert [role for role in ROLES if "see-requests" in MAY[role]] == ["planner", "inclusion"]
    assert [role for role in ROLES if "plan" in MAY[role]] == ["planner"]
