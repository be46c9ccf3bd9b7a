"""PIN and key of the holder through the real pcscd (A11, A13), and the pieces of it as bytes."""

import contextlib
import time
from hashlib import sha256, sha384

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from device.drivers.eid.driver import PcscReader
from device.drivers.eid.pin import NotAPin, ask_state, state_of, verify_command, wipe
from device.drivers.eid.possession import NoScheme, scheme_for
from device.emulators.eid.spec import Person
from device.errors import Code, KitError
from device.ports import CardHolderProof, HolderProof, PinState
from tests.device.drivers.eid.conftest import Bench, CardMaker, patience
from tests.device.drivers.eid.recorded import recorded

VERIFY, MSE, PSO = 0x20, 0x22, 0x2A


def prove(bench: Bench, pin: str | bytearray, last_try: bool = False) -> HolderProof:
    entry = bytearray(pin.encode()) if isinstance(pin, str) else pin
    try:
        return bench.driver.prove(entry, patience(), last_try=last_try)
    finally:
        assert not any(entry), "the PIN is still in its buffer"


# --- pieces


@pytest.mark.parametrize(
    ("pin", "wire"),
    [
        ("1234", "0020000108 241234FFFFFFFFFF"),
        ("12345", "0020000108 2512345FFFFFFFFF"),
        ("123456", "0020000108 26123456FFFFFFFF"),
        ("123456789012", "0020000108 2C123456789012FF"),
    ],
)
def test_a11_a_pin_goes_to_the_card_as_the_manual_has_it(pin: str, wire: str) -> None:
    assert verify_command(bytearray(pin.encode())) == bytes.fromhex(wire)


@pytest.mark.parametrize("pin", ["", "123", "1234567890123", "12a4", "١٢٣٤", "12 4", "-123", "1234\n"])
def test_a11_what_is_no_pin_has_no_command(pin: str) -> None:
    with pytest.raises(NotAPin):
        verify_command(bytearray(pin.encode()))


def test_wiping_leaves_zeros_of_the_same_length() -> None:
    secret = bytearray(b"1234")
    wipe(secret)
    assert secret == bytes(4)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (0x9000, PinState(None, entered=True)),
        (0x63C3, PinState(3)),
        (0x63C1, PinState(1)),
        (0x63C0, PinState(0)),
        (0x6983, PinState(0)),
        (0x6700, PinState(None)),
        (0x6CC1, PinState(None)),
    ],
)
def test_the_state_is_what_the_card_said_and_else_unknown(status: int, state: PinState) -> None:
    assert state_of(status) == state
    assert state.blocked is (state.tries_left == 0)
    assert state.last_try is (status == 0x63C1)


@pytest.mark.parametrize(
    ("applet", "asked"), [(0x00, False), (0x10, False), (0x11, False), (0x17, True), (0x18, True)]
)
def test_an_old_applet_is_never_asked_for_its_state(applet: int, asked: bool) -> None:
    assert (ask_state(applet) is not None) is asked


def test_an_ec_key_on_another_curve_has_no_scheme() -> None:
    with pytest.raises(NoScheme):
        scheme_for(ec.generate_private_key(ec.SECP256R1()).public_key(), 0x18)


def test_the_algorithm_follows_the_key_and_not_only_the_applet() -> None:
    old, new = rsa.generate_private_key(65537, 2048).public_key(), ec.generate_private_key(ec.SECP384R1())
    assert [scheme_for(old, applet).algorithm for applet in (0x11, 0x17)] == [0x01, 0x08]
    assert [scheme_for(new.public_key(), applet).algorithm for applet in (0x17, 0x18)] == [0x02, 0x02]
    assert (
        scheme_for(old, 0x11).sign(b"x").data[-32:]
        == scheme_for(old, 0x17).sign(b"x").data
        == sha256(b"x").digest()
    )
    assert scheme_for(new.public_key(), 0x18).sign(b"x").data == sha384(b"x").digest()


@pytest.mark.parametrize(
    "answer", [b"", bytes(96), b"\xff" * 96, b"\x30", bytes(300), b"\x30\x06\x02\x01\x00\x02\x01\x00"]
)
def test_no_nonsense_is_a_signature(answer: bytes) -> None:
    for key in (
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP384R1()).public_key(),
    ):
        assert scheme_for(key, 0x18).signature(key, b"challenge", answer) is None


# --- through pcscd

system = pytest.mark.system


@system
@pytest.mark.parametrize(
    ("wishes", "algorithm"),
    [
        ({"generation": "1.8"}, 0x02),
        ({"generation": "1.7-rsa"}, 0x08),
        ({"generation": "1.7-ec"}, 0x02),
        ({"generation": "1.7-ec", "holder_key": "rsa"}, 0x08),
        ({"generation": "1.1"}, 0x01),
    ],
    ids=["1.8", "1.7", "re-keyed", "re-keyed, RSA holder", "1.1"],
)
def test_a13_the_holder_of_every_generation_signs_a_fresh_challenge(
    bench: Bench, card: CardMaker, wishes: dict[str, str], algorithm: int
) -> None:
    with bench.holding(card(**wishes)), recorded() as line:
        first, second = prove(bench, "1234"), prove(bench, "1234")
    assert (first.outcome, second.outcome) == ("proven", "proven")
    assert first.challenge != second.challenge
    assert first.signature != second.signature
    assert len(first.national_number) == 11
    assert first.certificate_valid
    assert first.test_trust
    assert {command[7] for command in line.of(MSE)} == {algorithm}  # never another, not even to try
    assert [len(line.of(ins)) for ins in (VERIFY, MSE, PSO)] == [
        2 if wishes["generation"] == "1.1" else 4,
        2,
        2,
    ]
    assert not line.outside
    assert line.resets == 2  # the card forgets the PIN before anybody else may speak to it


@system
@pytest.mark.parametrize("pin", ["1234", "123456", "123456789012"])
def test_a11_pins_of_any_length_open_the_card_with_one_verify(
    bench: Bench, card: CardMaker, pin: str
) -> None:
    with bench.holding(card(pin=pin)), recorded() as line:
        assert prove(bench, pin).outcome == "proven"
    assert [len(command) for command in line.of(VERIFY)] == [5, 13]  # its state, then the one entry


@system
def test_a11_a_wrong_pin_costs_one_try_and_the_last_one_is_asked_for(bench: Bench, card: CardMaker) -> None:
    with bench.holding(card()), recorded() as line:
        assert bench.driver.pin_state(patience()) == PinState(3, certificate="valid")
        wrong = prove(bench, "9999")
        assert (wrong.outcome, wrong.tries_left, wrong.signature) == ("wrong-pin", 2, b"")
        assert prove(bench, "9999").tries_left == 1
        assert bench.driver.pin_state(patience()).last_try
        sent = len(line.of(PSO)) + len(line.entries)
        warned = prove(bench, "1234")
        assert (warned.outcome, warned.tries_left) == ("last-try", 1)
        assert len(line.entries) == sent == 2
        assert prove(bench, "1234", last_try=True).outcome == "proven"
        assert bench.driver.pin_state(patience()) == PinState(3, certificate="valid")


@system
@pytest.mark.parametrize("tries", [0, 1])
def test_a11_a_blocked_card_is_told_from_a_wrong_pin(bench: Bench, card: CardMaker, tries: int) -> None:
    with bench.holding(card(tries=tries)), recorded() as line:
        first = prove(bench, "9999", last_try=True)
        assert (first.outcome, first.tries_left) == ("pin-blocked", 0)
        assert prove(bench, "1234", last_try=True).outcome == "pin-blocked"
    assert len(line.entries) == tries


@system
@pytest.mark.parametrize("pin", ["12a4", "123", "1234567890123"])
def test_a11_what_is_no_pin_never_reaches_the_card(bench: Bench, card: CardMaker, pin: str) -> None:
    with bench.holding(card()):
        assert prove(bench, pin).outcome == "not-a-pin"
        assert bench.virtual.log() == []


@system
def test_a11_an_applet_that_counts_questions_is_not_asked(bench: Bench, card: CardMaker) -> None:
    with bench.holding(card(generation="1.1", tries=2)), recorded() as line:
        assert bench.driver.pin_state(patience()) == PinState(None, certificate="valid")
        wrong = prove(bench, "9999")
        assert (wrong.outcome, wrong.tries_left) == ("wrong-pin", 1)
        assert prove(bench, "1234").outcome == "proven"  # no state, so no warning beforehand
    assert [len(command) for command in line.of(VERIFY)] == [13, 13]


@system
@pytest.mark.parametrize("status", ["6C08", "6108", "6F00", "6700"])
def test_a11_a_verify_is_sent_once_whatever_it_is_answered_with(
    bench: Bench, card: CardMaker, status: str
) -> None:
    fault = {"do": "status-on", "ins": "20", "status": status}
    with bench.holding(card(generation="1.1"), fault), recorded() as line:
        with pytest.raises(KitError) as caught:
            prove(bench, "1234")
        assert caught.value.code is Code.CARD_MUTE
    assert len(line.of(VERIFY)) == 1
    assert not line.of(PSO)


@system
@pytest.mark.parametrize(
    ("wishes", "outcome"),
    [
        ({"defects": ("no-certificates",)}, "no-certificate"),
        ({"defects": ("foreign-certificate",)}, "untrusted"),
        ({"defects": ("self-made-root",)}, "untrusted"),
    ],
    ids=["Kids-ID", "unknown CA", "unknown root"],
)
def test_a13_a_card_that_cannot_be_believed_is_given_no_pin(
    bench: Bench, card: CardMaker, wishes: dict[str, tuple[str, ...]], outcome: str
) -> None:
    with bench.holding(card(**wishes)), recorded() as line:
        assert prove(bench, "1234").outcome == outcome
    assert not line.of(VERIFY)


@system
def test_a13_a_signature_by_another_key_proves_nothing(bench: Bench, card: CardMaker) -> None:
    """The files of one card on the chip of another."""
    folder, other = card(identity=Person(surname="Een")), card(identity=Person(surname="Twee"))
    mixed = folder.parent / f"{folder.name}-with-another-key"
    mixed.mkdir()
    for path in folder.iterdir():
        (mixed / path.name).write_bytes(path.read_bytes())
    (mixed / "auth-key.pem").write_bytes((other / "auth-key.pem").read_bytes())
    with bench.holding(mixed):
        assert prove(bench, "1234").outcome == "failed"


@system
def test_a13_a_bank_card_and_an_empty_reader_are_given_no_pin(bench: Bench) -> None:
    with pytest.raises(KitError) as caught:
        prove(bench, "1234")
    assert caught.value.code is Code.NO_CARD


@system
@pytest.mark.parametrize("moment", [MSE, VERIFY, PSO])
def test_a11_a_card_pulled_during_an_entry_is_no_second_try(
    bench: Bench, card: CardMaker, moment: int
) -> None:
    with bench.holding(card()), recorded() as line:
        prove(bench, "1234")
    number = max(at for at, command in enumerate(line.commands, 1) if command[1] == moment)
    with bench.holding(card(), {"do": "pull", "at": number}), recorded() as line:
        began = time.monotonic()
        with pytest.raises(KitError) as caught:
            prove(bench, "1234")
        assert caught.value.code is Code.CARD_REMOVED
        assert time.monotonic() - began < 10
    assert len(line.entries) == (moment != MSE)


@system
def test_a11_the_command_with_the_pin_is_wiped_whatever_becomes_of_it(
    bench: Bench, card: CardMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytearray] = []

    def noted(pin: bytearray) -> bytearray:
        made.append(verify_command(pin))
        return made[-1]

    monkeypatch.setattr("device.drivers.eid.driver.verify_command", noted)
    with contextlib.suppress(KitError):
        prove(bench, "1234")  # no card
    for faults in ((), ({"do": "status-on", "ins": "20", "status": "6F00"},), ({"do": "mute", "at": 5},)):
        with bench.holding(card(), *faults):
            for _ in range(2):  # behind a mute card the second does not even begin
                with contextlib.suppress(KitError):
                    prove(bench, "1234")
    assert len(made) == 7
    end = time.monotonic() + 30  # the thread left behind notices the pull a moment after the reader does
    while any(byte for wire in made for byte in wire) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(byte for wire in made for byte in wire)


def test_the_driver_is_behind_the_port(bench: Bench) -> None:
    port: CardHolderProof = bench.driver
    assert isinstance(port, PcscReader)
