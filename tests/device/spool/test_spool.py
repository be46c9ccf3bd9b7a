"""The agent's and the uplink's side of the spool, on a real disk."""

import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.errors import Code, KitError
from device.spool import layout
from device.spool.hatch import Hatch, SpoolTaken
from device.spool.layout import SpoolRefused
from device.spool.records import Mark
from device.spool.spool import Spool
from protocol.ids import is_ulid, new_ulid
from protocol.messages import BadMessage

HEALTH = (
    b'{"kind":"health","battery":80,"mains":true,"temperature_c":null,"disk_free_mb":100,"peripherals":{},'
    b'"sealed_waiting":0,"oldest_waiting_s":0,"reports_waiting":0,"in_visit":false,"uptime_s":5}'
)


def visit(state: str = "opened") -> bytes:
    return msgspec.json.encode({"kind": "visit", "visit_id": new_ulid(), "state": state, "reason": ""})


@pytest.fixture
def spool(tmp_path: Path):
    spool = Spool(tmp_path / "spool")
    yield spool
    spool.close()


@pytest.fixture
def hatch(tmp_path: Path, spool: Spool):
    hatch = Hatch(tmp_path / "spool")
    yield hatch
    hatch.close()


def test_a_packet_goes_from_agent_to_uplink_and_its_mark_comes_back(spool: Spool, hatch: Hatch):
    first, second = new_ulid(1), new_ulid(2)
    spool.offer_packet(first, b"one")
    spool.offer_packet(second, b"two")
    assert [(w.packet_id, w.size, w.mark) for w in hatch.packets()] == [(first, 3, None), (second, 3, None)]
    with hatch.open_packet(first) as file:
        assert file.read() == b"one"
    hatch.mark(first, Mark("sending", 1, 3))
    assert spool.marks() == {first: Mark("sending", 1, 3)}
    hatch.mark(first, Mark("uploaded", 3, 3))
    hatch.mark(second, Mark("refused", 3, 3, "bad-signature"))
    assert spool.uploaded() == [first]
    assert spool.refused() == [(second, "bad-signature")]
    assert spool.withdraw_packet(first)
    assert not spool.withdraw_packet(first)
    assert spool.offered() == [second]
    hatch.mark(first, Mark("uploaded", 3, 3))
    assert first not in spool.marks()


def test_packets_are_in_the_order_in_which_they_were_offered_whatever_the_clock_said(
    spool: Spool, hatch: Hatch
):
    ids = [new_ulid(ms) for ms in (9_000_000, 8_000_000, 5, 7_000_000)]  # their names hold the kit's clock
    for packet_id in ids:
        spool.offer_packet(packet_id, b"x")
    assert spool.offered() == [waiting.packet_id for waiting in hatch.packets()] == ids
    spool.withdraw_packet(ids[1])
    spool.offer_packet(ids[1], b"x")
    assert spool.offered() == [ids[0], ids[2], ids[3], ids[1]]


def test_the_same_packet_twice_is_one_and_other_bytes_under_its_id_are_refused(spool: Spool):
    packet_id = new_ulid()
    spool.offer_packet(packet_id, b"sealed")
    spool.offer_packet(packet_id, b"sealed")
    with pytest.raises(SpoolRefused, match="differs"):
        spool.offer_packet(packet_id, b"other")
    assert spool.offered() == [packet_id]


@pytest.mark.parametrize(
    ("data", "code"), [(b"", "empty"), (b"x" * (layout.MAX_PACKET + 1), "too-big")], ids=["empty", "too-big"]
)
def test_a_packet_out_of_bounds_is_refused(spool: Spool, data: bytes, code: str):
    with pytest.raises(SpoolRefused) as refused:
        spool.offer_packet(new_ulid(), data)
    assert refused.value.code == code
    assert spool.offered() == []


def test_the_uplink_can_see_that_a_packet_is_near_and_that_it_is_not(spool: Spool, hatch: Hatch):
    assert not hatch.is_packet_near()
    spool.announce_packet(True)
    spool.announce_packet(True)
    assert hatch.is_packet_near()
    spool.announce_packet(False)
    spool.announce_packet(False)
    assert not hatch.is_packet_near()


def test_a_full_spool_says_so(spool: Spool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layout, "MAX_PACKETS", 2)
    monkeypatch.setattr(layout, "MAX_REPORTS", 2)
    for _ in range(2):
        spool.offer_packet(new_ulid(), b"x")
        spool.report("up/evt/visit", visit())
    with pytest.raises(KitError) as full:
        spool.offer_packet(new_ulid(), b"x")
    assert full.value.code is Code.DISK_FULL
    with pytest.raises(KitError) as full:
        spool.report("up/evt/visit", visit())
    assert full.value.code is Code.DISK_FULL


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.one_of(
        st.text(max_size=40),
        st.from_regex(r"[0-7][0-9A-Z./\\-]{24,26}", fullmatch=True),
        st.from_regex(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", fullmatch=True),
    )
)
def test_only_a_ulid_becomes_a_file_name(tmp_path: Path, name: str):
    at = layout.Layout(tmp_path)
    at.make()
    numbered = ((lambda text, of=of: of(1, text)) for of in (at.event, at.past_health))
    for path_of in (at.next_packet, at.mark, at.receipt, at.command, *numbered):
        if is_ulid(name):
            assert path_of(name).parent.parent == at.root
            assert at.packet(name) is None
        else:
            for asked in (path_of, at.packet):
                with pytest.raises(SpoolRefused, match="bad-name"):
                    asked(name)


def test_reports_come_in_order_once_and_leave_only_by_name(spool: Spool, hatch: Hatch):
    ids = [spool.report("up/evt/visit", visit()) for _ in range(5)]
    assert [(r.seq, r.id) for r in hatch.reports(3)] == [(1, ids[0]), (2, ids[1]), (3, ids[2])]
    assert [r.id for r in hatch.reports(9, skip={ids[0], ids[3]})] == [ids[1], ids[2], ids[4]]
    assert hatch.drop_reports((ids[1], new_ulid())) == [ids[1]]
    assert hatch.drop_reports((ids[1],)) == []
    assert [r.id for r in hatch.reports(9)] == [ids[0], ids[2], ids[3], ids[4]]
    assert spool.reports_waiting() == 4


def test_a_report_with_its_own_id_is_one_however_often_it_is_made(spool: Spool, hatch: Hatch):
    message_id, body = new_ulid(), visit()
    for _ in range(3):
        assert spool.report("up/evt/visit", body, message_id) == message_id
    assert [r.id for r in hatch.reports(9)] == [message_id]


def test_numbers_are_never_used_twice_though_the_outbox_was_emptied(
    tmp_path: Path, spool: Spool, hatch: Hatch
):
    ids = tuple(spool.report("up/evt/visit", visit()) for _ in range(3))
    hatch.drop_reports(ids)
    spool.close()
    again = Spool(tmp_path / "spool")
    again.report("up/evt/visit", visit())
    assert [r.seq for r in hatch.reports(9)] == [4]
    again.close()


@pytest.mark.parametrize(
    ("tail", "body", "problem"),
    [
        ("state/health", HEALTH, SpoolRefused),
        ("up/evt/../../x", b"{}", SpoolRefused),
        ("up/evt/application", visit(), BadMessage),
        ("up/evt/visit", b'{"kind":"visit"}', BadMessage),
        ("up/evt/visit", visit()[:-1] + b',"name":"Jan"}', BadMessage),
        ("up/evt/visit", b'{"kind":"visit","reason":"' + b"x" * 20_000 + b'"}', BadMessage),
        ("up/evt/visit", visit()[:-1] + b" " * 20_000 + b"}", SpoolRefused),
    ],
)
def test_a_report_that_does_not_fit_is_refused(
    spool: Spool, hatch: Hatch, tail: str, body: bytes, problem: type[Exception]
):
    with pytest.raises(problem):
        spool.report(tail, body)
    assert hatch.reports(9) == []


def test_a_damaged_report_is_put_aside_and_the_rest_goes_on(tmp_path: Path, spool: Spool, hatch: Hatch):
    ids = [spool.report("up/evt/visit", visit()) for _ in range(3)]
    damaged = tmp_path / "spool" / "events" / f"{2:012d}-{ids[1]}.json"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    assert [r.id for r in hatch.reports(9)] == [ids[0], ids[2]]
    assert [path.name for path in (tmp_path / "spool" / "damaged").iterdir()] == [damaged.name]


def test_only_the_newest_state_is_shown(spool: Spool, hatch: Hatch):
    assert hatch.shown("health") is None
    spool.show("health", HEALTH)
    newer = HEALTH.replace(b"80", b"79")
    spool.show("health", newer)
    assert hatch.shown("health") == newer
    with pytest.raises(BadMessage):
        spool.show("birth", HEALTH)


def test_a_bag_is_kept_only_when_it_is_newer(spool: Spool, hatch: Hatch):
    assert spool.bag() is None
    assert hatch.bag_version() == 0
    assert hatch.store_bag(3, b"sealed\nthree")
    assert not hatch.store_bag(3, b"other")
    assert not hatch.store_bag(2, b"older")
    assert spool.bag() == (3, b"sealed\nthree")
    with pytest.raises(SpoolRefused, match="too-big"):
        hatch.store_bag(4, b"x" * (layout.MAX_BAG + 1))
    with pytest.raises(SpoolRefused, match="empty"):
        hatch.store_bag(4, b"")


@pytest.mark.parametrize("damage", [b"", b"3", b"x\nabc", b"-1\nabc", b"\nabc", b"9" * 40 + b"\nabc"])
def test_a_bag_that_cannot_be_read_is_fetched_again(
    tmp_path: Path, spool: Spool, hatch: Hatch, damage: bytes
):
    (tmp_path / "spool" / "bag").write_bytes(damage)
    assert spool.bag() is None
    assert hatch.bag_version() == 0
    assert hatch.store_bag(1, b"whole")


def test_receipts_wait_until_the_agent_has_dealt_with_them(spool: Spool, hatch: Hatch):
    packet_id = new_ulid()
    hatch.store_receipt(packet_id, "a.b.c")
    hatch.store_receipt(packet_id, "a.b.d")
    assert spool.receipts() == [(packet_id, "a.b.d")]
    assert spool.drop_receipt(packet_id)
    assert not spool.drop_receipt(packet_id)
    assert spool.receipts() == []


@pytest.mark.parametrize(
    "receipt", ["", "x" * (layout.MAX_RECEIPT + 1), "é"], ids=["empty", "too-big", "not-ascii"]
)
def test_a_receipt_out_of_bounds_is_refused(spool: Spool, hatch: Hatch, receipt: str):
    with pytest.raises(SpoolRefused):
        hatch.store_receipt(new_ulid(), receipt)
    assert spool.receipts() == []


def test_receipts_have_a_number_too(spool: Spool, hatch: Hatch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layout, "MAX_RECEIPTS", 1)
    packet_id = new_ulid()
    hatch.store_receipt(packet_id, "a.b.c")
    hatch.store_receipt(packet_id, "a.b.d")
    with pytest.raises(SpoolRefused, match="full"):
        hatch.store_receipt(new_ulid(), "a.b.c")


def test_the_session_number_grows_for_the_life_of_the_kit(tmp_path: Path, spool: Spool):
    numbers = []
    for _ in range(3):
        hatch = Hatch(tmp_path / "spool")
        numbers += [hatch.next_session(), hatch.next_session()]
        hatch.close()
    assert numbers == [1, 2, 3, 4, 5, 6]


def test_the_link_is_what_the_uplink_says_while_it_lives(spool: Spool, tmp_path: Path):
    assert spool.link().problem == "uplink-not-running"
    hatch = Hatch(tmp_path / "spool")
    packet_id = new_ulid()
    spool.offer_packet(packet_id, b"12345678")
    spool.report("up/evt/visit", visit())
    hatch.mark(packet_id, Mark("sending", 2, 8))
    hatch.tell(online=True, fleet=True, problem="", sending=packet_id)
    link = spool.link()
    assert (link.online, link.fleet, link.problem) == (True, True, "")
    assert (link.waiting, link.reports_waiting, link.sending, link.sending_share) == (1, 1, packet_id, 0.25)
    assert 0 <= link.oldest_s < 60
    hatch.mark(packet_id, Mark("uploaded", 8, 8))
    assert spool.link().waiting == 0
    hatch.close()
    assert not spool.link().online
    assert spool.link().sending == ""


def test_a_link_that_has_been_silent_for_long_is_not_believed(spool: Spool, hatch: Hatch, tmp_path: Path):
    hatch.tell(online=True, fleet=True, problem="", sending="")
    assert spool.link().online
    says = msgspec.json.decode((tmp_path / "spool" / "link.json").read_bytes())
    for boot_s in (says["boot_s"] - 500, says["boot_s"] + 500):
        (tmp_path / "spool" / "link.json").write_bytes(msgspec.json.encode(says | {"boot_s": boot_s}))
        assert not spool.link().online


def test_a_second_uplink_on_the_same_spool_is_told_to_go(hatch: Hatch, tmp_path: Path):
    with pytest.raises(SpoolTaken):
        Hatch(tmp_path / "spool", patience_s=0.1)


def test_bells_ring_both_ways_and_a_ring_for_nobody_is_harmless(tmp_path: Path, spool: Spool):
    spool.ring_uplink()
    hatch = Hatch(tmp_path / "spool")
    assert not hatch.wait_for_uplink(0)
    for _ in range(1000):  # more than a socket's queue holds
        spool.ring_uplink()
    assert hatch.wait_for_uplink(0)
    assert not hatch.wait_for_uplink(0)
    assert not spool.wait_for_agent(0)
    threading.Timer(0.05, hatch.ring_agent).start()
    assert spool.wait_for_agent(5)
    hatch.close()
    spool.ring_uplink()


def test_the_bell_works_under_a_path_longer_than_a_socket_address(tmp_path: Path):
    root = tmp_path / ("long" * 20) / ("path" * 20)
    root.parent.mkdir()
    spool, hatch = Spool(root), Hatch(root)
    spool.ring_uplink()
    assert hatch.wait_for_uplink(0)
    hatch.close()
    spool.close()


def test_folders_and_files_are_for_owner_and_group_whatever_the_umask(spool: Spool, tmp_path: Path):
    spool.report("up/evt/visit", visit())
    root = tmp_path / "spool"
    for path in [root, *root.rglob("*")]:
        mode = path.stat().st_mode & 0o7777
        assert mode == (0o2770 if path.is_dir() else 0o660), path
