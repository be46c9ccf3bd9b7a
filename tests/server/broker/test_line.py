"""The ingest's line to a real mosquitto: acknowledged after it was taken in, resumed, and sent again."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from protocol.mqtt5 import Publish, Will
from protocol.topics import FLEET_LISTENS, Tail, topic_of
from server.broker.line import Line
from server.settings import Mqtt
from tests.mosquitto import Client, Mosquitto, until
from tests.pki import Pki

KIT = "kit-brugge-01"
WORKER = "fleet-ingest-1"
TOPIC = topic_of(KIT, Tail.VISIT)

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki"))
    made.issue("ingest", WORKER)
    return made


@pytest.fixture
def broker(tmp_path: Path, pki: Pki) -> Iterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker", pki)
    made.start()
    yield made
    if made.process is not None:
        made.stop()


class Held:
    """A line on a thread of its own; what it took in lies in `taken`."""

    def __init__(
        self,
        broker: Mosquitto,
        topics: Sequence[str] = FLEET_LISTENS,
        *,
        say: Callable[[], None] = lambda: None,
    ) -> None:
        files = broker.pki.issue("ingest", WORKER)
        settings = Mqtt(
            host="127.0.0.1",
            port=broker.port,
            ca=broker.pki.roots,
            certificate=files.certificate,
            key=files.key,
            client_id=WORKER,
        )
        self.taken: list[bytes] = []
        self.ups = 0
        self.failure: Exception | None = None
        self._say = say
        self.line = Line(settings, topics, lambda: Will("tl/v1/fleet/state", b"lost"), self._take, self._up)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)  # a failed test leaves it behind
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self.line.nudge()
        self._thread.join()
        self.line.close()

    def _run(self) -> None:
        try:
            self.line.run(self._stop)
        except LookupError as problem:
            self.failure = problem

    def _up(self, _kept: bool) -> None:
        self.ups += 1

    def _take(self, batch: Sequence[Publish]) -> None:
        self._say()
        self.taken += [each.payload for each in batch]


def kit(broker: Mosquitto) -> Client:
    return Client(broker.port, broker.pki.roots, broker.pki.issue("kit-tls", KIT), KIT)


def test_what_was_not_taken_in_comes_again_to_the_next_one(broker: Mosquitto) -> None:
    def fail() -> None:
        raise LookupError("as a database that is gone")

    first = Held(broker, say=fail)
    assert first.line.online.wait(20)
    sender = kit(broker).listen("tl/v1/fleet/state")
    until(lambda: sender.say(TOPIC, b"one") == 0, what="the subscription")
    until(lambda: first.failure is not None, what="the failure")
    until(lambda: [each.payload for each in sender.heard] == [b"lost"], what="the will")
    first.close()
    assert first.taken == []
    second = Held(broker)
    until(lambda: second.taken[:1] == [b"one"], what="what was not acknowledged")
    second.close()
    third = Held(broker)
    assert third.line.online.wait(20)
    sender.say(TOPIC, b"two")
    until(lambda: third.taken, what="the next")
    assert third.taken == [b"two"]
    third.close()
    sender.close()


def test_a_killed_broker_is_found_again_and_what_waits_is_sent(broker: Mosquitto) -> None:
    held = Held(broker)
    until(lambda: held.ups == 1, what="the broker")
    broker.kill()
    until(lambda: not held.line.online.is_set(), what="the loss")
    answered = held.line.publish(topic_of(KIT, Tail.DOORBELL), b"later")
    broker.start()
    assert answered.wait(30)
    assert held.ups == 2
    sender = kit(broker)
    until(lambda: sender.say(TOPIC, b"on") == 0, what="the subscription")
    until(lambda: b"on" in held.taken, what="a message after the return")
    held.close()
    sender.close()


def test_many_at_once_are_all_taken_in_once_and_in_order(broker: Mosquitto) -> None:
    held = Held(broker, say=lambda: time.sleep(0.05))
    until(lambda: held.ups == 1, what="the broker")
    sender = kit(broker)
    until(lambda: sender.say(TOPIC, b"0") == 0, what="the subscription")
    wanted = [b"%d" % number for number in range(3000)]
    for number in wanted[1:]:
        sender.client.publish(TOPIC, number, qos=1)
    until(lambda: len(held.taken) >= 3000, 60, "all of them")
    assert held.taken[-3000:] == wanted
    held.close()
    sender.close()


def test_a_batch_ends_before_another_one_begins_also_when_the_broker_is_lost_meanwhile(
    broker: Mosquitto,
) -> None:
    free, inside, most = threading.Event(), list[int](), list[int]()

    def slowly() -> None:
        inside.append(1)
        most.append(len(inside))
        free.wait(60)
        inside.pop()

    held = Held(broker, say=slowly)
    until(lambda: held.ups == 1, what="the broker")
    sender = kit(broker)
    until(lambda: sender.say(TOPIC, b"before") == 0, what="the subscription")
    until(lambda: inside, what="the batch")
    broker.kill()
    broker.start()
    assert held.ups == 1
    free.set()
    until(lambda: held.ups == 2, 60, "the return")
    until(lambda: sender.say(TOPIC, b"after") == 0, 60, "a message after the return")
    until(lambda: b"after" in held.taken, 60, "the next batch")
    assert held.taken[0] == b"before"
    assert set(most) == {1}
    held.close()
    sender.close()


def test_a_refused_subscription_is_no_line(broker: Mosquitto) -> None:
    held = Held(broker, ["tl/v1/kit/+/down/#"])
    until(lambda: held.ups > 1, 60, "a second try")
    held.close()
