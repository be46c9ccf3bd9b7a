"""Several reports in one message: what waited goes together, once, and by itself when nobody answered."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from device.spool.past import Past
from device.spool.records import Report
from device.uplink.bundles import bundles
from device.uplink.envelopes import Envelopes
from protocol.ids import new_ulid
from protocol.messages import MAX_BYTES, apart, decode, encode_body, unsqueeze
from protocol.messages.batch import MOST
from protocol.topics import Tail
from tests.device.uplink.conftest import Site
from tests.device.uplink.test_events import HEALTH
from tests.mosquitto import until
from tests.protocol.test_messages import HEALTH as FULLEST

INSTANT = "2026-11-23T09:30:00.125Z"


def healths(number: int) -> list[bytes]:
    return [HEALTH.replace(b":80", f":{percent}".encode()) for percent in range(number)]


def gathered(site: Site, bodies: list[bytes]) -> None:
    """As the agent shows them while there is no network: the last one is what is shown."""
    past = Past(site.spool.root)
    for body in bodies:
        past.shown(body, heard=False)
        site.spool.show("health", body)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_events_that_waited_go_in_one_message_and_leave_on_their_receipts(site: Site, version: str):
    ids = [site.report() for _ in range(20)]
    worker = site.worker
    site.start(mqtt_version=version)
    until(lambda: site.spool.reports_waiting() == 0, what="an empty outbox")
    assert worker.batches == [ids]
    assert [envelope["seq"] for envelope in worker.committed.values()] == list(range(1, 21))


def test_at_most_eight_messages_are_under_way_at_a_time(site: Site):
    worker = site.worker
    worker.give_receipts = False
    ids = [site.report() for _ in range(9 * MOST)]
    site.start(receipt_s=60)
    until(lambda: len(worker.committed) == 8 * MOST)
    late = site.report()
    assert list(worker.committed) == ids[: 8 * MOST]
    assert late not in worker.committed


def test_an_older_fleet_that_knows_no_batches_gets_each_event_by_itself(site: Site):
    worker = site.worker
    worker.is_older = True
    ids = [site.report() for _ in range(5)]
    site.start()
    until(lambda: site.spool.reports_waiting() == 0, what="an empty outbox")
    assert worker.batches == [ids]
    assert sorted(worker.committed) == sorted(ids)
    assert worker.times_heard == dict.fromkeys(ids, 1)


def test_how_the_kit_was_while_nobody_heard_goes_before_how_it_is(site: Site):
    worker = site.worker
    bodies = healths(5)
    gathered(site, bodies)
    site.start()
    until(lambda: worker.states("health"))
    until(lambda: list(site.spool.root.glob("past/*")) == [], what="the past to be told")
    assert [report["body"]["battery"] for report in worker.past] == [0, 1, 2, 3]
    assert worker.states("health")[0]["body"]["battery"] == 4
    numbers = [report["seq"] for report in (*worker.past, *worker.states("health"))]
    assert numbers == sorted(set(numbers))


def test_what_nobody_heard_is_kept_for_the_next_session(site: Site):
    gathered(site, healths(3))
    site.start()
    site.online()
    assert len(list(site.spool.root.glob("past/*"))) == 2  # PUBACK 0x10: nobody listens yet
    worker = site.worker
    worker.say("tl/v1/fleet/state", {"kind": "fleet", "s": "online"}, retain=True)
    until(lambda: len(worker.past) == 2)
    until(lambda: list(site.spool.root.glob("past/*")) == [])


def report(body: bytes, tail: Tail = Tail.HEALTH, seq: int = 2**40) -> Report:
    return Report(new_ulid(), seq, tail, INSTANT, "none", Raw(body))


@given(
    st.lists(st.tuples(st.integers(1, 12_000), st.booleans()), max_size=150), st.integers(20_000, MAX_BYTES)
)
def test_bundles_keep_the_order_and_the_bounds(sizes: list[tuple[int, bool]], most: int) -> None:
    reports = [report(b" " * size) for size, _ in sizes]
    alone = {each.id for each, (_, is_alone) in zip(reports, sizes, strict=True) if is_alone}
    found = list(bundles(reports, alone.__contains__, most))
    assert [each for bundle in found for each in bundle] == reports
    for bundle in found:
        assert 1 <= len(bundle) <= MOST
        assert len(bundle) == 1 or not any(each.id in alone for each in bundle)
        assert len(bundle) == 1 or sum(len(each.body) for each in bundle) < most


def test_a_full_bundle_of_the_largest_reports_fits_into_a_message() -> None:
    certificate = f"e30.e30.{'x' * 3_000}"
    bodies = [
        (encode_body(Tail.HEALTH, FULLEST), Tail.HEALTH),
        (json.dumps({"kind": "deletion", "certificate": certificate}).encode(), Tail.DELETION),
        # Of an older agent, which left out what is so by default.
        (f'{{"kind":"visit","visit_id":"{new_ulid()}","state":"opened"}}'.encode(), Tail.VISIT),
    ]
    waiting = [report(body, tail) for body, tail in bodies for _ in range(80)]
    told = []
    envelopes = Envelopes("kit-" + "x" * 28, 2**40, lambda: datetime.fromtimestamp(0, UTC))
    for bundle in bundles(waiting, lambda _: False, envelopes.most_bytes):
        topic, data = envelopes.reports(bundle, together=True)
        assert len(unsqueeze(data, MAX_BYTES)) <= MAX_BYTES
        told += [each.id for each in apart(decode(topic, data))]
    assert told == [each.id for each in waiting]
