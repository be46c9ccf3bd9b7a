"""The day bag and receipts come down, are stored once, and are confirmed only when they are on disk."""

import base64
import json
import threading

import pytest

from device.spool.lists import ListDesk, ListHatch
from protocol.ids import new_ulid
from tests.device.uplink.conftest import Site
from tests.device.uplink.fleet_stand import Call, Handler
from tests.mosquitto import until


def token(about: object) -> str:
    """A JWS in form."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'ES256'})}.{part(about)}.c2ln"


def receipt(packet_id: str, verdict: str = "accepted") -> str:
    return token({"packet_id": packet_id, "verdict": verdict})


def test_bag_and_receipts_are_there_after_the_connect_and_confirmed(site: Site):
    packets = [new_ulid(), new_ulid()]
    site.stand.bag = (7, b"sealed")
    site.stand.receipts = {name: receipt(name) for name in packets}
    site.start()
    until(lambda: site.spool.bag() == (7, b"sealed"))
    until(lambda: sorted(site.stand.done) == sorted(packets))
    assert sorted(site.spool.receipts()) == sorted((name, receipt(name)) for name in packets)


def test_the_doorbell_brings_what_is_new_at_once(site: Site):
    site.start(inbox_every_s=600)
    site.online()
    until(lambda: site.worker.presences())
    until(lambda: any("/inbox" in call.path for call in site.stand.calls))
    site.stand.bag = (2, b"new")
    site.worker.ring(site.settings.kit_id)
    until(lambda: site.spool.bag() == (2, b"new"))


def test_without_doorbell_the_uplink_looks_every_so_often(site: Site):
    site.start(inbox_every_s=0.3)
    site.online()
    site.stand.bag = (2, b"new")
    until(lambda: site.spool.bag() == (2, b"new"))


def test_it_works_without_a_broker_too(site: Site):
    site.broker.stop()
    site.stand.bag = (2, b"new")
    site.start()
    until(lambda: site.spool.bag() == (2, b"new"))
    assert not site.spool.link().online


def test_a_fleet_that_hangs_over_the_inbox_holds_no_upload_up(site: Site):
    over, hung = threading.Event(), threading.Event()

    def hang(_handler: Handler, call: Call) -> bool:
        if "/inbox" in call.path:
            hung.set()
            over.wait(60)
        return False

    site.stand.faults.append(hang)
    site.start()
    assert hung.wait(30)
    packet_id = site.offer(b"sealed" * 1000)
    until(lambda: site.spool.uploaded() == [packet_id])
    assert not over.is_set()
    over.set()


def test_an_older_bag_is_not_taken(site: Site):
    site.stand.bag = (5, b"five")
    site.start(inbox_every_s=0.2)
    until(lambda: site.spool.bag() == (5, b"five"))
    site.stand.bag = (4, b"four")
    asked = len(site.stand.calls)
    until(lambda: len(site.stand.calls) > asked + 2)
    assert site.spool.bag() == (5, b"five")
    assert site.stand.calls[-1].path == "/kit/v1/inbox?bag=5"


def test_a_receipt_is_asked_for_again_until_the_fleet_knows_that_it_is_here(site: Site):
    packet_id = new_ulid()
    site.stand.receipts = {packet_id: receipt(packet_id)}
    lost: list[Call] = []

    def lose(handler: Handler, call: Call) -> bool:
        if call.path != "/kit/v1/inbox/done" or len(lost) == 2:
            return False
        lost.append(call)
        handler.cut()
        return True

    site.stand.faults.append(lose)
    site.start()
    until(lambda: site.stand.done == [packet_id])
    assert len(lost) == 2
    assert site.spool.receipts() == [(packet_id, receipt(packet_id))]


@pytest.mark.parametrize(
    "wrong",
    ["", "abc", "a.b", "a.!!.c", f"a.{'e30'}.c", receipt("../../etc/passwd"), receipt("x" * 26), "é.é.é"],
    ids=["empty", "word", "two-parts", "not-base64", "no-packet", "path", "not-a-ulid", "not-ascii"],
)
def test_a_receipt_that_names_no_packet_is_left_and_the_others_are_taken(site: Site, wrong: str):
    packet_id = new_ulid()
    site.stand.receipts = {"wrong": wrong, packet_id: receipt(packet_id)}
    site.start()
    until(lambda: site.stand.done == [packet_id])
    assert [name for name, _ in site.spool.receipts()] == [packet_id]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b'{"bag":null,"receipts":[],"now":"yesterday"}',
        b'{"bag":null,"receipts":[],"now":"2026-11-23T09:00:00Z","extra":1}',
        b'{"bag":{"version":0,"sealed":""},"receipts":[],"now":"2026-11-23T09:00:00Z"}',
        b'{"bag":{"version":9,"sealed":"?"},"receipts":[],"now":"2026-11-23T09:00:00Z"}',
        b'{"bag":{"version":9,"sealed":""},"receipts":[],"now":"2026-11-23T09:00:00Z"}',
        b'{"bag":null,"receipts":["' + b"x" * 20_000 + b'"],"now":"2026-11-23T09:00:00Z"}',
        b" " * 5_000_000,
    ],
    ids=["page", "now", "unknown", "version", "base64", "empty-bag", "long-receipt", "huge"],
)
def test_an_inbox_that_breaks_a_bound_is_refused_whole_and_asked_for_again(site: Site, body: bytes):
    closed = [True]

    def answer(handler: Handler, call: Call) -> bool:
        if closed:
            handler.raw(200, body, "application/json")
            handler.close_connection = True
        return bool(closed)

    site.stand.faults.append(answer)
    site.start()
    until(lambda: len(site.stand.calls) >= 3)
    until(lambda: site.spool.link().problem == "bad-answer")
    assert site.spool.bag() is None
    closed.clear()
    site.stand.bag = (1, b"good")
    until(lambda: site.spool.bag() == (1, b"good"))
    until(lambda: site.spool.link().problem == "")


def test_the_list_that_the_agent_wants_is_brought_once_and_asked_for_by_its_key(site: Site):
    site.stand.list = receipt(new_ulid())  # of a JWS it has the form, and here nobody judges
    desk = ListDesk(site.settings.spool)
    desk.want("key-1")
    site.start()
    until(lambda: desk.brought.exists() and desk.brought.read_text() == site.stand.list)
    asked = [call.path for call in site.stand.calls if "/recipients" in call.path]
    assert asked == ["/kit/v1/recipients?key=key-1&held="]


@pytest.mark.parametrize("issued", ["2026-11-20T08:00:00Z", "no instant"])
def test_a_list_is_not_replaced_by_one_that_was_issued_before_it(site: Site, issued: str):
    """By a fleet that was put back from a copy: a kit that has used the newer one seals to no older one."""
    newer, later = (token({"issued": f"2026-11-{day}T08:00:00Z"}) for day in (21, 22))
    desk, hatch = ListDesk(site.settings.spool), ListHatch(site.settings.spool)
    desk.want("key-1")
    hatch.store(newer)
    for offered, held in ((token({"issued": issued}), newer), (later, later)):
        site.stand.list = offered
        site.stand.calls.clear()
        site.start()
        until(lambda: any("/recipients" in call.path for call in site.stand.calls))
        site.finish()
        assert desk.brought.read_text() == held


def test_a_fleet_that_knows_of_no_lists_holds_nothing_up(site: Site):
    ListDesk(site.settings.spool).want("key-1")

    def unknown(handler: Handler, call: Call) -> bool:
        if "/recipients" in call.path:
            handler.answer(404)
        return "/recipients" in call.path

    site.stand.faults.append(unknown)
    site.stand.bag = (2, b"new")
    site.start()
    until(lambda: site.spool.bag() == (2, b"new"))
    until(lambda: any("/recipients" in call.path for call in site.stand.calls))
