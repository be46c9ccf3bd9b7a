"""Commands and wishes of the fleet: what was delayed still counts, what was made up, changed or repeated does
not.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical, signed
from protocol.command import ACTIONS, Command, sign_command, verify_command
from protocol.desired import BOUNDS, WORDS, DesiredState, problem_of, sign_desired, verify_desired
from protocol.instant import write_instant
from protocol.word import BadCommand

VECTORS = Path(__file__).parents[1] / "vectors" / "mqtt"
KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = {"command-1": KEY.public_key()}
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
JOB = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def command(**changes: object) -> Command:
    values: dict[str, object] = {
        "v": 1, "kit_id": "kit-a", "job": JOB, "counter": 5, "action": "lock",
        "issued": write_instant(NOW), "not_after": write_instant(NOW + timedelta(hours=1)),
    }  # fmt: skip
    return Command(**(values | changes))


def wish(**changes: object) -> DesiredState:
    values: dict[str, object] = {
        "v": 1, "kit_id": "kit-a", "version": 3, "settings": {"language": "fr", "health-every-s": 60},
        "issued": write_instant(NOW), "not_after": write_instant(NOW + timedelta(days=30)),
    }  # fmt: skip
    return DesiredState(**(values | changes))


def forged(kind: str, payload: dict[str, object], key: ec.EllipticCurvePrivateKey = KEY) -> str:
    return signed.sign(kind, canonical.dumps(payload), key, "command-1")


def refusal(token: str, kit: str = "kit-a", last: int = 4, now: datetime | None = NOW) -> str:
    with pytest.raises(BadCommand) as caught:
        verify_command(token, KEYS, kit, last, now)
    return caught.value.code


@pytest.mark.parametrize("action", ACTIONS)
def test_a_command_is_carried_out_once_by_the_kit_it_names(action: str) -> None:
    token = sign_command(command(action=action), KEY, "command-1")
    assert verify_command(token, KEYS, "kit-a", 4, NOW).action == action
    assert refusal(token, last=5) == "replayed"
    assert refusal(token, last=6) == "replayed"
    assert refusal(token, kit="kit-b") == "other-kit"
    assert refusal(token, now=NOW + timedelta(hours=1)) == "expired"
    assert refusal(token, now=None) == "expired"


def test_only_the_pinned_key_commands_and_only_as_it_wrote() -> None:
    token = sign_command(command(), KEY, "command-1")
    head, body, signature = token.split(".")
    other = sign_command(command(counter=9), KEY, "command-1").split(".")
    stranger = ec.generate_private_key(ec.SECP256R1())
    payload = json.loads(canonical.dumps({"v": 1}))
    for bad in (
        forged("command", {"v": 1}, stranger),
        ".".join((head, other[1], signature)),
        ".".join((head, body, other[2])),
        signed.sign("bag", canonical.dumps(payload), KEY, "command-1"),
        signed.sign("command", canonical.dumps(payload), KEY, "command-2"),
        "", "a.b.c",
    ):  # fmt: skip
        assert refusal(bad) == "signature", bad


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"action": "shell"}, "unknown-action"),
        ({"action": "rm -rf /"}, "malformed"),
        ({"arguments": ["x"]}, "malformed"),
        ({"v": 2}, "malformed"),
        ({"counter": 0}, "malformed"),
        ({"counter": "5"}, "malformed"),
        ({"job": "x"}, "malformed"),
        ({"not_after": "2026-11-23T09:30:00Z"}, "malformed"),
        ({"not_after": "2026-02-30T09:30:00Z"}, "malformed"),
        ({"kit_id": "kit-a/down"}, "malformed"),
        ({"action": "x" * 5000}, "malformed"),
    ],
)
def test_what_no_fleet_of_ours_writes_is_refused_though_it_is_signed(
    changes: dict[str, object], code: str
) -> None:
    base: dict[str, object] = {
        "v": 1, "kit_id": "kit-a", "job": JOB, "counter": 5, "action": "lock",
        "issued": "2026-11-23T09:30:00Z", "not_after": "2026-11-23T10:30:00Z",
    }  # fmt: skip
    assert refusal(forged("command", base | changes)) == code


def test_a_fleet_cannot_sign_what_a_kit_would_refuse() -> None:
    with pytest.raises(BadCommand, match="unknown-action"):
        sign_command(command(action="shell"), KEY, "command-1")
    with pytest.raises(BadCommand, match="malformed"):
        sign_desired(wish(settings={"language": "tlh"}), KEY, "command-1")


def test_a_wish_counts_until_a_newer_one_comes() -> None:
    token = sign_desired(wish(), KEY, "command-1")
    assert verify_desired(token, KEYS, "kit-a", 0, NOW).settings == {"language": "fr", "health-every-s": 60}
    assert verify_desired(token, KEYS, "kit-a", 3, NOW).version == 3
    for held, kit, now, code in (
        (4, "kit-a", NOW, "replayed"),
        (0, "kit-b", NOW, "other-kit"),
        (0, "kit-a", NOW + timedelta(days=31), "expired"),
        (0, "kit-a", None, "expired"),
    ):
        with pytest.raises(BadCommand) as caught:
            verify_desired(token, KEYS, kit, held, now)
        assert caught.value.code == code
    with pytest.raises(BadCommand, match="signature"):
        verify_desired(sign_command(command(), KEY, "command-1"), KEYS, "kit-a", 0, NOW)
    with pytest.raises(BadCommand, match="malformed"):
        verify_desired(forged("desired", {"v": 1, "citizen": "x"}), KEYS, "kit-a", 0, NOW)


def test_every_setting_has_its_bounds_and_a_kit_names_what_it_does_not_take() -> None:
    for name, (least, most) in BOUNDS.items():
        assert [problem_of(name, value) for value in (least, most)] == ["", ""]
        assert {problem_of(name, value) for value in (least - 1, most + 1, str(least), True)} == {
            "out-of-range"
        }
    for name, words in WORDS.items():
        assert {problem_of(name, word) for word in words} == {""}
        assert problem_of(name, 1) == "out-of-range"
    assert problem_of("camera-off", 1) == "unknown"


def test_the_literal_commands_are_judged_as_the_protocol_says() -> None:
    vectors = json.loads((VECTORS / "commands.json").read_text())
    key = load_pem_public_key(vectors["key"].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    keys = {vectors["kid"]: key}
    for one in vectors["commands"]:
        now = datetime.fromisoformat(one["now"])
        if one["code"]:
            with pytest.raises(BadCommand, match=f"^{one['code']}"):
                verify_command(one["token"], keys, "kit-a", one["last"], now)
        else:
            assert verify_command(one["token"], keys, "kit-a", one["last"], now).action == "lock"


GOOD = (sign_command(command(), KEY, "command-1"), sign_desired(wish(), KEY, "command-1"))


@given(st.one_of(st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_-]{0,80}(\.[A-Za-z0-9_-]{0,80}){0,3}")))
def test_whatever_is_brought_as_a_command_is_refused_and_nothing_else_happens(token: str) -> None:
    for verify in (verify_command, verify_desired):
        with pytest.raises(BadCommand, match=r"^signature"):
            verify(token, KEYS, "kit-a", 0, NOW)


@given(st.sampled_from(GOOD), st.integers(0, 2000), st.integers(0, 127))
def test_a_command_with_one_other_character_is_refused(token: str, at: int, character: int) -> None:
    at %= len(token)
    changed = token[:at] + chr(character) + token[at + 1 :]
    if changed != token:
        with pytest.raises(BadCommand, match=r"^signature"):
            (verify_command if token == GOOD[0] else verify_desired)(changed, KEYS, "kit-a", 0, NOW)


@given(
    st.dictionaries(st.text(max_size=12), st.one_of(st.integers(1 - 2**53, 2**53 - 1), st.text(max_size=12)))
)
def test_whatever_the_right_key_signs_it_is_a_command_or_refused(members: dict[str, object]) -> None:
    payload = {
        "v": 1, "kit_id": "kit-a", "job": JOB, "counter": 5, "action": "lock",
        "issued": "2026-11-23T09:30:00Z", "not_after": "2026-11-23T10:30:00Z",
    } | {name: value for name, value in members.items() if name.isascii()}  # fmt: skip
    if len(payload) > 7:  # a member that no command has
        with pytest.raises(BadCommand, match=r"^malformed"):
            verify_command(forged("command", payload), KEYS, "kit-a", 4, NOW)
