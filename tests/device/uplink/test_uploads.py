"""Sealed packets over real mutual TLS: whole, once, resumed to the byte, whatever the link does."""

import random
import socket
import time
from dataclasses import replace
from threading import Event

import pytest

from device.spool.records import Mark
from device.spool.spool import Spool
from device.uplink import process
from tests.device.uplink.conftest import Site
from tests.device.uplink.fleet_stand import Call, Handler
from tests.mosquitto import until

PIECE = 4096
JSON = "application/json"


def sealed(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def test_a_packet_arrives_whole_and_the_agent_sees_it(site: Site):
    data = sealed(10 * PIECE + 17)
    packet_id = site.offer(data)
    site.start()
    until(lambda: site.spool.uploaded() == [packet_id])
    assert site.stand.complete(packet_id, data)
    assert [call.offset for call in site.stand.patches()] == list(range(0, len(data), PIECE))
    assert max(call.length for call in site.stand.patches()) == PIECE
    assert site.spool.offered() == [packet_id]  # it leaves only on the service's receipt
    until(lambda: site.spool.link().waiting == 0)
    until(lambda: site.spool.link().sending == "")


def test_packets_go_oldest_first_and_the_bell_brings_a_new_one_at_once(site: Site):
    ids = [site.offer(sealed(PIECE, seed)) for seed in range(3)]
    site.start(look_every_s=600)
    until(lambda: sorted(site.spool.uploaded()) == sorted(ids))
    begun = [call.path.rsplit("/", 1)[1] for call in site.stand.calls if "/uploads/" in call.path]
    assert begun[::2] == ids
    packet_id = site.offer(sealed(PIECE, 9))
    until(lambda: packet_id in site.spool.uploaded())


def test_a_connection_cut_in_the_middle_of_a_piece_is_resumed_at_the_byte(site: Site):
    data = sealed(8 * PIECE)
    cuts = {3: 1000, 6: 4000}  # at which PATCH, after how many bytes

    def cut(handler: Handler, call: Call) -> bool:
        if call.method != "PATCH" or len(site.stand.patches()) not in cuts:
            return False
        kept = handler.body(cuts.pop(len(site.stand.patches())))
        upload = site.stand.uploads[call.path.rsplit("/", 1)[1]]
        upload.data += kept  # what came before the cut is on the server's disk
        handler.cut()
        return True

    site.stand.faults.append(cut)
    packet_id = site.offer(data)
    site.start()
    until(lambda: site.spool.uploaded() == [packet_id])
    assert not cuts
    assert site.stand.complete(packet_id, data)
    offsets = [call.offset for call in site.stand.patches()]
    assert 2 * PIECE + 1000 in offsets
    assert len(offsets) == len(set(offsets))
    sent = sum(call.length for call in site.stand.patches())
    assert sent <= len(data) + 2 * PIECE


def test_a_lost_answer_to_the_last_piece_does_not_send_it_twice(site: Site):
    data = sealed(3 * PIECE)
    lost: list[Call] = []

    def lose(handler: Handler, call: Call) -> bool:
        if call.method != "PATCH" or call.offset != 2 * PIECE or lost:
            return False
        lost.append(call)
        upload = site.stand.uploads[call.path.rsplit("/", 1)[1]]
        upload.data += handler.body(call.length)
        upload.state = "complete"
        handler.cut()
        return True

    site.stand.faults.append(lose)
    packet_id = site.offer(data)
    site.start()
    until(lambda: site.spool.uploaded() == [packet_id])
    assert lost
    assert len(site.stand.patches()) == 3
    assert site.stand.complete(packet_id, data)


def test_an_answer_that_does_not_come_is_nudged_and_what_nudges_bring_is_not_taken_for_it(site: Site):
    data = sealed(3 * PIECE)
    waited: list[Call] = []

    def late(handler: Handler, call: Call) -> bool:
        if call.method == "PATCH" and call.offset == 2 * PIECE and not waited:
            waited.append(call)
            time.sleep(1.5)
        return False

    site.stand.faults.append(late)
    packets = [site.offer(data), site.offer(data)]
    site.start()
    until(lambda: site.spool.uploaded() == packets)
    assert site.stand.nudges
    assert all(site.stand.complete(packet_id, data) for packet_id in packets)
    assert len(site.stand.patches()) == 6


def test_a_connection_is_kept_ready_for_a_packet_that_is_near_and_for_no_other(site: Site):
    site.spool.announce_packet(True)
    site.start()
    until(lambda: site.stand.nudges >= 1)
    at_first = site.stand.nudges
    until(lambda: site.stand.nudges >= at_first + 2)  # it is tried at every look
    ready = set(site.stand.connections)
    data = sealed(3 * PIECE)
    packet_id = site.offer(data)
    site.spool.announce_packet(False)
    until(lambda: site.spool.uploaded() == [packet_id])
    begun = [call for call in site.stand.calls if call.method == "POST" and packet_id in call.path]
    assert begun[0].connection in ready
    until(lambda: not ready & site.stand.open)
    before = site.stand.nudges
    time.sleep(3 * site.settings.look_every_s)
    assert site.stand.nudges == before


def test_the_next_packet_that_is_near_finds_a_connection_that_no_packet_went_over(site: Site):
    site.spool.announce_packet(True)
    site.start()
    until(lambda: site.stand.nudges >= 1)
    ready = set(site.stand.connections)
    packet_id = site.offer(sealed(3 * PIECE))
    until(lambda: site.spool.uploaded() == [packet_id])
    assert {call.connection for call in site.stand.calls if call.method == "POST"} <= ready
    until(lambda: not ready & site.stand.open and bool(site.stand.open))


def test_a_ready_connection_that_the_fleet_has_cut_is_made_anew(site: Site):
    site.spool.announce_packet(True)
    site.start()
    until(lambda: site.stand.nudges >= 1)
    site.stand.stop()
    site.stand.start()
    packet_id = site.offer(sealed(3 * PIECE))
    until(lambda: site.spool.uploaded() == [packet_id])


def test_a_server_that_is_down_and_comes_back_gets_the_rest(site: Site):
    data = sealed(20 * PIECE)
    site.stand.faults.append(lambda *_: time.sleep(0.05))
    packet_id = site.offer(data)
    site.start()
    until(lambda: len(site.stand.patches()) > 5)
    site.stand.stop()
    until(lambda: site.spool.link().problem in ("server-down", "link-lost"))
    until(lambda: site.spool.link().sending_share is None)
    assert site.spool.offered() == [packet_id]
    site.stand.start()
    until(lambda: site.spool.uploaded() == [packet_id])
    assert site.stand.complete(packet_id, data)
    until(lambda: site.spool.link().problem == "")


def test_another_offset_than_ours_is_taken_from_the_fleet(site: Site):
    data = sealed(6 * PIECE)

    def drop_some(handler: Handler, call: Call) -> bool:
        if call.method == "PATCH" and call.offset == 4 * PIECE and not site.stand.faults[1:]:
            site.stand.faults.append(lambda *_: False)
            del site.stand.uploads[call.path.rsplit("/", 1)[1]].data[PIECE:]
        return False

    site.stand.faults.append(drop_some)
    packet_id = site.offer(data)
    site.start()
    until(lambda: site.spool.uploaded() == [packet_id])
    assert site.stand.complete(packet_id, data)
    assert len([call for call in site.stand.calls if call.method == "POST"]) == 1


def test_two_uplinks_with_the_same_packet_fence_each_other_and_the_result_is_whole(site: Site):
    data = sealed(30 * PIECE)
    packet_id = site.offer(data)
    other_spool = Spool(site.folder / "other")
    other_spool.offer_packet(packet_id, data)
    site.stand.faults.append(lambda *_: time.sleep(0.02))
    site.start()
    until(lambda: len(site.stand.patches()) > 3)
    other = site.spawn(spool=other_spool._at.root, mqtt_port=1)  # HTTPS alone
    until(lambda: other_spool.uploaded() == [packet_id])
    until(lambda: site.spool.uploaded() == [packet_id])
    assert site.stand.complete(packet_id, data)
    assert site.stand.uploads[packet_id].generation >= 2
    other.terminate()
    assert other.wait(10) == 0
    other_spool.close()


def test_a_packet_the_fleet_refuses_is_marked_with_its_code_kept_and_holds_nothing_up(site: Site):
    bad, good = site.offer(sealed(PIECE)), site.offer(sealed(2 * PIECE, 2))
    site.stand.refuse[bad] = "bad-signature"
    site.start()
    until(lambda: site.spool.uploaded() == [good])
    until(lambda: site.spool.refused() == [(bad, "bad-signature")])
    time.sleep(1)
    begun = [call.path for call in site.stand.calls if call.method == "POST" and bad in call.path]
    assert len(begun) == 1
    assert sorted(site.spool.offered()) == sorted([bad, good])


def test_a_refused_packet_is_offered_again_later(site: Site):
    data = sealed(PIECE)
    packet_id = site.offer(data)
    site.stand.refuse[packet_id] = "kit-unknown"
    site.start(refused_again_s=0.5)
    until(lambda: site.spool.refused() == [(packet_id, "kit-unknown")])
    site.stand.refuse.clear()
    until(lambda: site.spool.uploaded() == [packet_id])
    assert site.stand.complete(packet_id, data)


@pytest.mark.parametrize(
    "portal",
    [
        lambda handler: handler.raw(200, b"<html>Welkom op de wifi</html>"),
        lambda handler: handler.raw(200, b"<html>", JSON),
        lambda handler: handler.raw(200, b"[1]", JSON),
        lambda handler: handler.raw(200, b'{"offset":-1,"generation":1,"state":"open"}', JSON),
        lambda handler: handler.raw(200, b'{"offset":0,"generation":1,"state":"?"}', JSON),
        lambda handler: handler.raw(200, b'{"offset":9999,"generation":1,"state":"open"}', JSON),
        lambda handler: handler.raw(200, b" " * 9_000_000, JSON),
        lambda handler: handler.raw(302, b"", headers={"Location": "https://portal.example/"}),
        lambda handler: handler.raw(500, b"oops"),
        lambda handler: handler.raw(422, b"<html>"),
        lambda handler: handler.raw(204, b""),
        lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"),
        lambda handler: handler.cut(),
    ],
    ids=[
        "page", "not-json", "list", "negative", "state", "beyond", "huge", "redirect", "500", "422-page",
        "204", "no-http", "cut",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_of_ours_changes_nothing_and_is_tried_again(site: Site, portal):
    data = sealed(2 * PIECE)
    closed = [True]

    def answer(handler: Handler, call: Call) -> bool:
        if closed:
            handler.body(call.length)
            portal(handler)
            handler.close_connection = True
        return bool(closed)

    site.stand.faults.append(answer)
    packet_id = site.offer(data)
    site.start()
    until(lambda: len(site.stand.calls) >= 4)
    until(lambda: site.spool.link().problem)
    assert site.spool.marks() == {}
    closed.clear()
    until(lambda: site.spool.uploaded() == [packet_id])
    assert site.stand.complete(packet_id, data)


def test_a_silent_server_is_left_after_the_time_out(site: Site):
    def silent(handler: Handler, call: Call) -> bool:
        if call.method == "PATCH" and len(site.stand.patches()) == 2:
            time.sleep(3)
        return False

    data = sealed(4 * PIECE)
    site.stand.faults.append(silent)
    packet_id = site.offer(data)
    site.start(read_s=0.5)
    until(lambda: site.spool.link().problem == "timed-out")
    until(lambda: site.spool.uploaded() == [packet_id])
    assert site.stand.complete(packet_id, data)


def test_a_connection_that_is_given_up_is_forgotten_by_the_kernel_too(site: Site):
    ends: list[str] = []

    def silent(handler: Handler, call: Call) -> bool:
        if call.method != "PATCH" or ends:
            return False
        handler.connection.settimeout(20)
        try:
            while socket.socket.recv(handler.connection, 65_536):  # below TLS: what the kernel sends
                pass
            ends.append("closed")
        except ConnectionResetError:
            ends.append("reset")
        handler.close_connection = True
        return True

    data = sealed(4 * PIECE)
    site.stand.faults.append(silent)
    packet_id = site.offer(data)
    site.start(read_s=0.5)
    until(lambda: site.spool.uploaded() == [packet_id])
    assert ends == ["reset"]
    assert site.stand.complete(packet_id, data)


def test_a_stop_in_the_middle_of_an_upload_is_prompt_and_loses_nothing(site: Site):
    data = sealed(50 * PIECE)
    site.stand.faults.append(lambda *_: time.sleep(0.05))
    packet_id = site.offer(data)
    site.start()
    until(lambda: len(site.stand.patches()) > 3)
    began = time.monotonic()
    site.finish()
    assert time.monotonic() - began < 10
    site.stand.faults.clear()
    site.start()
    until(lambda: site.spool.uploaded() == [packet_id])
    assert site.stand.complete(packet_id, data)


def test_an_uplink_killed_at_any_moment_of_uploads_leaves_every_packet_whole_and_once(site: Site):
    packets = {site.offer(sealed(12 * PIECE + seed, seed)): seed for seed in range(4)}
    chance = random.Random(7)
    site.stand.faults.append(lambda *_: time.sleep(0.01))
    for _ in range(5):
        seen = len(site.stand.calls)
        running = site.spawn()
        until(lambda: len(site.stand.calls) > seen + chance.randrange(12))  # noqa: B023 - called here
        time.sleep(chance.random() * 0.02)
        running.kill()
        running.wait()
    site.start()
    until(lambda: set(site.spool.uploaded()) == set(packets))
    for packet_id, seed in packets.items():
        assert site.stand.complete(packet_id, sealed(12 * PIECE + seed, seed))


def test_a_packet_withdrawn_while_it_waits_is_forgotten(site: Site):
    site.stand.stop()
    packet_id = site.offer(sealed(PIECE))
    site.start()
    until(lambda: site.spool.link().problem == "server-down")
    site.spool.withdraw_packet(packet_id)
    site.stand.start()
    until(lambda: site.spool.link().problem == "")
    other = site.offer(sealed(PIECE, 2))
    until(lambda: site.spool.uploaded() == [other])
    assert list(site.stand.uploads) == [other]


def test_an_upload_does_not_keep_the_inbox_waiting(site: Site):
    site.stand.faults.append(lambda _h, call: time.sleep(0.3) if call.method == "PATCH" else None)
    packet_id = site.offer(sealed(400 * PIECE))  # two minutes of it
    site.start()
    until(lambda: len(site.stand.patches()) > 1)
    site.stand.bag = (1, b"sealed bag")
    site.worker.ring(site.settings.kit_id)
    until(lambda: site.spool.bag() == (1, b"sealed bag"))
    assert site.spool.marks()[packet_id].state == "sending"
    assert isinstance(site.spool.marks()[packet_id], Mark)


@pytest.mark.parametrize("wrong", ["http://127.0.0.1:1", "https://", "https://host/path", "ftp://x"])
def test_an_address_that_is_not_https_is_refused_at_start(site: Site, wrong: str):
    with pytest.raises(ValueError, match="not https"):
        process.run(replace(site.settings, https=wrong), Event())
    assert not site.spool.link().online
