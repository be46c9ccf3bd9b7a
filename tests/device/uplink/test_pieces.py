"""The pure parts of the uplink: which events may go, how long to wait, what a failure is called."""

import errno
import http.client
import random
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from device.uplink.backoff import Backoff
from device.uplink.problems import code_of
from device.uplink.window import Window


def test_the_window_has_its_places_and_a_receipt_frees_one() -> None:
    window = Window(2, 60, 1, 10)
    assert window.room(0) == 2
    window.sent("a", 1, 0)
    window.sent("b", 2, 0)
    assert window.room(1) == 0
    assert window.resting(1) == {"a", "b"}
    window.done("a")
    assert window.room(1) == 1
    assert window.resting(1) == {"b"}


def test_events_of_one_message_share_its_place_and_its_answer() -> None:
    window = Window(2, 60, 1, 10)
    for name in "abc":
        window.sent(name, 1, 0)
    assert window.room(0) == 1
    assert window.acked(1, 0x97, 1) == ["a", "b", "c"]
    assert window.room(1) == 2


def test_an_event_that_nobody_answered_goes_by_itself_until_the_fleet_is_back() -> None:
    window = Window(2, 60, 1, 10)
    assert not window.goes_alone("a")
    window.sent("a", 1, 0)
    assert window.goes_alone("a")
    window.hurry()
    assert not window.goes_alone("a")


def test_an_acknowledged_event_keeps_its_place_until_receipt_or_time() -> None:
    window = Window(1, 60, 1, 10)
    window.sent("a", 1, 0)
    assert window.acked(1, 0x00, 1) == []
    assert window.room(59) == 0
    assert window.room(61) == 1
    assert window.resting(61) == set()


@pytest.mark.parametrize("code", [0x10, 0x80, 0x87, 0x97, 0x99])
def test_an_event_that_was_not_taken_gives_up_its_place_and_rests(code: int) -> None:
    window = Window(1, 60, 1, 10)
    window.sent("a", 1, 0)
    assert window.acked(1, code, 1) == ["a"]
    assert window.room(1) == 1
    assert window.resting(1.5) == {"a"}
    assert window.resting(12) == set()


def test_a_fleet_without_receipts_is_asked_less_and_less_often() -> None:
    window, now, waits = Window(1, 60, 1, 10), 0.0, []
    for mid in range(1, 7):
        window.sent("a", mid, now)
        began = now
        while "a" in window.resting(now):
            now += 1
        waits.append(now - began)
    assert waits == [60, 120, 240, 300, 300, 300]
    window.hurry()
    window.sent("a", 9, now)
    assert window.resting(now + 59) == {"a"}
    assert window.resting(now + 60) == set()


def test_what_is_too_large_for_this_connection_stays_on_the_shelf() -> None:
    window = Window(2, 60, 1, 10)
    window.shelve("a")
    assert window.room(0) == 2
    window.hurry()
    assert window.resting(1e9) == {"a"}


def test_the_broker_may_take_fewer_at_a_time_but_never_none() -> None:
    window = Window(8, 60, 1, 10)
    window.shrink(5)
    assert window.room(0) == 5
    window.shrink(-3)
    assert window.room(0) == 1
    window.shrink(8)
    assert window.room(0) == 1


def test_the_answer_to_an_earlier_sending_says_nothing_of_the_present_one() -> None:
    window = Window(1, 1, 1, 10)
    window.sent("a", 1, 0)
    window.sent("a", 2, 5)
    assert window.acked(1, 0x87, 5) == []
    assert window.room(5.5) == 0


class WindowMachine(RuleBasedStateMachine):
    """Whatever happens, no more than the window's places are taken and nothing goes twice at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.window, self.now, self.mid = Window(3, 10, 1, 5), 0.0, 0

    @rule(name=st.sampled_from("abcdefgh"))
    def send(self, name: str) -> None:
        if self.window.room(self.now) > 0 and name not in self.window.resting(self.now):
            self.mid += 1
            self.window.sent(name, self.mid, self.now)

    @rule(back=st.integers(0, 5), code=st.sampled_from([0, 0x10, 0x87]))
    def answer(self, back: int, code: int) -> None:
        self.window.acked(self.mid - back, code, self.now)

    @rule(name=st.sampled_from("abcdefgh"))
    def receipt(self, name: str) -> None:
        self.window.done(name)
        assert name not in self.window.resting(self.now)

    @rule(seconds=st.floats(0, 20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def hurry(self) -> None:
        self.window.hurry()
        assert self.window.room(self.now) == 3

    @invariant()
    def never_more_than_its_places(self) -> None:
        assert 0 <= self.window.room(self.now) <= 3


TestWindow = WindowMachine.TestCase


@given(st.integers(0, 2**32))
def test_a_wait_is_never_longer_than_it_may_be_and_starts_short_again(seed: int) -> None:
    patience = Backoff(1, 120, random.Random(seed))
    for number in range(40):
        assert 0 <= patience.next() <= min(120, 2**number)
    patience.reset()
    assert patience.next() <= 1


def test_waits_are_spread_so_that_a_fleet_does_not_come_back_as_one() -> None:
    waits = []
    for seed in range(400):
        patience = Backoff(1, 120, random.Random(seed))
        for _ in range(8):
            last = patience.next()
        waits.append(last)
    assert min(waits) < 5
    assert max(waits) > 115
    assert 45 < sum(waits) / len(waits) < 75


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (ssl.SSLCertVerificationError(1, "x"), "server-untrusted"),
        (ssl.SSLError(1, "x"), "link-lost"),
        (ssl.SSLEOFError(8, "x"), "link-lost"),
        (socket.gaierror(-2, "x"), "no-network"),
        (TimeoutError(), "timed-out"),
        (ConnectionRefusedError(), "server-down"),
        (ConnectionResetError(), "link-lost"),
        (OSError(errno.ENETUNREACH, "x"), "no-network"),
        (OSError(errno.EHOSTUNREACH, "x"), "no-network"),
        (http.client.RemoteDisconnected(), "link-lost"),
        (http.client.BadStatusLine("x"), "bad-answer"),
        (http.client.IncompleteRead(b""), "bad-answer"),
    ],
)
def test_every_failure_of_the_network_has_a_code(problem, code: str) -> None:
    assert code_of(problem) == code
