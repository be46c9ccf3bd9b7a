"""A packet through the broker: pieces lost, doubled and late, a second writer, a session that ends."""

import hashlib
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from typing import cast

import pytest

from device.uplink.choice import Choice
from device.uplink.ferry import Ferry
from device.uplink.problems import LinkDown
from device.uplink.sending import NotNow, Refused
from device.uplink.slip import Slip
from protocol import ferry
from protocol.ferry import Begin, Standing
from protocol.ids import new_ulid

PACKET = new_ulid()


class Shore:
    """The fleet's rules in a few lines, behind a broker that loses, doubles and delays by seed."""

    def __init__(self, slip: Slip, seed: int, loss: float) -> None:
        self.slip, self.chance, self.loss = slip, random.Random(seed), loss
        self.held, self.generation, self.size = bytearray(), 0, 0
        self.most_ahead = 0
        self.refuse = ""

    def take(self, frame: bytes) -> None:
        said = ferry.decode_up(frame)
        if isinstance(said, Begin):
            self.generation, self.size = self.generation + 1, said.size
            self.answer(said.corr, "", "refused" if self.refuse else "open")
            return
        self.most_ahead = max(self.most_ahead, said.offset + len(said.data) - len(self.held))
        if said.generation != self.generation:
            self.answer("", "generation")
        elif said.offset != len(self.held):
            self.answer("", "offset")
        else:
            self.held += said.data
            self.answer("", "", "complete" if len(self.held) == self.size else "open")

    def answer(self, corr: str, code: str, state: str = "open") -> None:
        code = self.refuse if state == "refused" else code
        said = Standing(corr, PACKET, len(self.held), self.generation, state, code)  # type: ignore[arg-type]
        self.slip.land(ferry.decode_down(ferry.encode(said)))

    def run(self, stop: threading.Event) -> None:
        kept: list[bytes] = []
        while not stop.is_set():
            waiting = self.slip.take()
            if waiting is None:
                if kept:
                    self.take(kept.pop())
                stop.wait(0.001)
                continue
            frame = waiting[1]
            if frame[:1] == b"{" or self.chance.random() >= self.loss:
                self.take(frame)
                if self.chance.random() < self.loss:
                    kept.append(frame)  # once more, late


@contextmanager
def shore(slip: Slip, seed: int = 1, loss: float = 0.0) -> Iterator[Shore]:
    stop, made = threading.Event(), Shore(slip, seed, loss)
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    yield made
    stop.set()
    thread.join()


def crossing(slip: Slip, data: bytes, answer_s: float = 20.0) -> Ferry:
    return Ferry(slip, PACKET, len(data), cast(BufferedReader, BytesIO(data)), answer_s, lambda _: None)


def send(slip: Slip, data: bytes, answer_s: float = 20.0) -> bool:
    return crossing(slip, data, answer_s).send(hashlib.sha256(data).hexdigest(), lambda: False)


@pytest.fixture
def slip() -> Slip:
    made = Slip(lambda: None)
    made.up()
    return made


@pytest.mark.parametrize("seed", range(8))
def test_pieces_that_are_lost_doubled_and_late_arrive_once_and_in_order(slip: Slip, seed: int) -> None:
    data = os.urandom(300_001)
    with shore(slip, seed, 0.1) as fleet:
        while True:  # the very last pieces may all be lost: the attempt times out, and the next goes on
            try:
                assert send(slip, data, 0.4)
                break
            except (LinkDown, NotNow):
                continue
        assert bytes(fleet.held) == data


def test_no_more_than_the_window_is_ahead_of_the_fleet(slip: Slip) -> None:
    data = os.urandom(500_000)
    with shore(slip) as fleet:
        assert send(slip, data)
        assert bytes(fleet.held) == data
        assert fleet.most_ahead <= ferry.WINDOW * ferry.LONGEST_PIECE


def test_another_attempt_goes_on_at_the_byte(slip: Slip) -> None:
    data = os.urandom(100_000)
    with shore(slip) as fleet:
        fleet.held += data[:50_000]
        assert send(slip, data)
        assert bytes(fleet.held) == data


def test_another_writer_fences_it_off(slip: Slip) -> None:
    data = os.urandom(2_000_000)
    began = threading.Event()

    class Rival(Shore):
        def take(self, frame: bytes) -> None:
            super().take(frame)
            if len(self.held) > 100_000 and not began.is_set():
                began.set()
                self.generation += 1  # a POST over HTTPS

    stop, rival = threading.Event(), Rival(slip, 1, 0.0)
    thread = threading.Thread(target=rival.run, args=(stop,))
    thread.start()
    with pytest.raises(NotNow) as no:
        send(slip, data)
    stop.set()
    thread.join()
    assert no.value.code == "fenced"
    assert bytes(rival.held) == data[: len(rival.held)]


def test_what_the_fleet_refuses_is_refused_with_its_code(slip: Slip) -> None:
    with shore(slip) as fleet:
        fleet.refuse = "kit-signature"
        with pytest.raises(Refused) as no:
            send(slip, b"x" * 100)
    assert no.value.code == "kit-signature"


def test_a_session_that_ends_ends_the_attempt_and_so_does_silence(slip: Slip) -> None:
    timer = threading.Timer(0.3, slip.down)
    timer.start()
    with pytest.raises(LinkDown) as no:
        send(slip, b"x" * 100)
    assert no.value.code == "link-lost"
    timer.join()
    with pytest.raises(LinkDown):
        slip.begin()
    slip.up()
    with pytest.raises(LinkDown) as no:
        send(slip, b"x" * 100, 0.3)
    assert no.value.code == "timed-out"


def test_a_frame_never_goes_into_a_later_session(slip: Slip) -> None:
    number = slip.begin()
    slip.put(number, PACKET, b"x")
    slip.down()
    slip.up()
    assert slip.take() is None
    with pytest.raises(LinkDown):
        slip.put(number, PACKET, b"x")


def test_it_ends_between_two_pieces_when_https_does_again(slip: Slip) -> None:
    data = os.urandom(1_000_000)
    over = threading.Event()
    with shore(slip):
        attempt = Ferry(
            slip, PACKET, len(data), cast(BufferedReader, BytesIO(data)), 20.0, lambda _: over.set()
        )
        assert not attempt.send(hashlib.sha256(data).hexdigest(), over.is_set)


def test_the_broker_is_chosen_only_after_a_while_without_https_and_with_the_fleet_there(slip: Slip) -> None:
    here = [True]
    soon, late = Choice(slip, 0.0, lambda: here[0]), Choice(slip, 3600.0, lambda: True)
    assert not soon.by_broker
    for choice in (soon, late):
        choice.failed()
    assert soon.by_broker
    assert not late.by_broker
    here[0] = False
    assert not soon.by_broker
    here[0] = True
    slip.down()
    assert not soon.by_broker
    slip.up()
    soon.works()
    assert not soon.by_broker
