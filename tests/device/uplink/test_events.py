"""Events, states and presence over a real broker."""

import json
import random
import secrets
import time

from server.broker import members
from tests.device.uplink.conftest import KIT, Site
from tests.mosquitto import until

HEALTH = (
    b'{"kind":"health","battery":80,"mains":true,"temperature_c":null,"disk_free_mb":100,"peripherals":{},'
    b'"sealed_waiting":0,"oldest_waiting_s":0,"reports_waiting":0,"in_visit":false,"uptime_s":5}'
)
BIRTH = (
    b'{"kind":"birth","version":"0.1.0","started":"2026-11-23T08:00:00Z","peripherals":[],'
    b'"certificate_until":"2026-12-23T08:00:00Z","packet":1,"protection":"reduced","test_trust":true}'
)


def test_events_reach_the_fleet_in_order_and_leave_on_its_receipt(site: Site):
    worker = site.worker
    ids = [site.report() for _ in range(30)]
    site.start()
    until(lambda: site.spool.reports_waiting() == 0, what="an empty outbox")
    assert list(worker.committed) == ids
    assert [envelope["seq"] for envelope in worker.committed.values()] == list(range(1, 31))
    assert {envelope["kit"] for envelope in worker.committed.values()} == {KIT}


def test_a_new_event_goes_at_once_by_the_doorbell(site: Site):
    worker = site.worker
    site.start(look_every_s=600)
    site.online()
    until(worker.presences)
    site.report()
    until(lambda: site.spool.reports_waiting() == 0)


def test_an_event_without_receipt_is_kept_and_sent_again_as_the_same_event(site: Site):
    worker = site.worker
    worker.give_receipts = False
    message_id = site.report()
    site.start()
    until(lambda: worker.times_heard.get(message_id, 0) >= 2, what="a second sending")
    assert site.spool.reports_waiting() == 1
    worker.give_receipts = True
    until(lambda: site.spool.reports_waiting() == 0)
    assert list(worker.committed) == [message_id]


def test_an_event_nobody_hears_is_kept_until_somebody_does(site: Site):
    message_id = site.report()
    site.start()
    site.online()
    time.sleep(1)  # PUBACK 0x10: no matching subscribers
    assert site.spool.reports_waiting() == 1
    until(lambda: message_id in site.worker.committed)
    until(lambda: site.spool.reports_waiting() == 0)


def test_when_the_fleet_says_that_it_is_back_all_that_waits_is_sent_again(site: Site):
    worker = site.worker
    worker.give_receipts = False
    message_id = site.report()
    site.start(receipt_s=60)
    until(lambda: message_id in worker.committed)
    worker.give_receipts = True
    worker.say("tl/v1/fleet/state", {"kind": "fleet", "s": "online"}, retain=True)
    until(lambda: site.spool.reports_waiting() == 0)
    until(lambda: site.spool.link().fleet)
    worker.say("tl/v1/fleet/state", {"kind": "fleet", "s": "lost"}, retain=True)
    until(lambda: not site.spool.link().fleet)


def test_what_the_fleet_said_long_ago_makes_nothing_go_twice(site: Site):
    worker = site.worker
    worker.say("tl/v1/fleet/state", {"kind": "fleet", "s": "online"}, retain=True)
    worker.give_receipts = False
    ids = [site.report() for _ in range(4)]
    site.start(receipt_s=60)
    until(lambda: len(worker.committed) == 4)
    until(lambda: site.spool.link().fleet)
    time.sleep(0.5)
    assert worker.times_heard == dict.fromkeys(ids, 1)


def test_an_event_on_a_denied_topic_is_kept_and_goes_once_it_may(site: Site):
    up = {"acltype": "publishClientSend", "topic": f"tl/v1/kit/{KIT}/up/#"}
    with site.broker.managed() as control:
        control.do([{"command": "removeRoleACL", "rolename": KIT, **up}])
    worker = site.worker
    message_id = site.report()
    site.start()
    site.online()
    until(worker.presences)
    time.sleep(1)
    assert worker.committed == {}
    assert site.spool.reports_waiting() == 1
    with site.broker.managed() as control:
        control.do([{"command": "addRoleACL", "rolename": KIT, "allow": True, "priority": 0, **up}])
    until(lambda: message_id in worker.committed)
    until(lambda: site.spool.reports_waiting() == 0)


def test_a_kit_that_the_broker_does_not_know_yet_tries_until_it_does(site: Site):
    with site.broker.managed() as control:
        members.dismiss(control, KIT)
    worker = site.worker
    site.report()
    site.start()
    until(lambda: site.spool.link().problem == "not-admitted", what="the kit to notice")
    with site.broker.managed() as control:
        members.admit(control, KIT)
    site.online()
    until(lambda: site.spool.reports_waiting() == 0)
    assert len(worker.committed) == 1


def test_an_event_larger_than_the_broker_takes_is_not_sent_and_holds_nothing_up(site: Site):
    # A visit's event has some 200 bytes, topic and all; a certificate cannot be squeezed so small.
    configuration = site.broker.configuration
    configuration.write_text(configuration.read_text().replace("_size 65536", "_size 360"))
    site.broker.stop()
    site.broker.start()
    worker = site.worker
    certificate = f"e30.e30.{secrets.token_urlsafe(600)}"
    deletion = json.dumps({"kind": "deletion", "certificate": certificate}).encode()
    kept = site.spool.report("up/evt/deletion", deletion)
    ids = [site.report() for _ in range(3)]
    site.start()
    until(lambda: list(worker.committed) == ids)
    until(lambda: site.spool.reports_waiting() == 1)
    assert site.spool.link().online
    assert kept not in worker.committed


def test_presence_birth_and_health_are_there_after_every_connect(site: Site):
    worker = site.worker
    site.spool.show("birth", BIRTH)
    site.spool.show("health", HEALTH)
    site.start()
    until(lambda: worker.states("health"))
    until(lambda: worker.states("birth"))
    assert worker.presences() == [("online", 1)]
    site.spool.show("health", HEALTH.replace(b"80", b"79"))
    until(lambda: worker.states("health")[-1]["body"]["battery"] == 79)
    site.broker.kill()
    until(lambda: not site.spool.link().online)
    site.broker.start()
    site.online()
    until(lambda: worker.presences()[-1] == ("online", 2) or worker.presences()[-1][1] > 1)
    until(lambda: worker.states("birth")[-1]["ses"] == worker.presences()[-1][1])
    until(lambda: worker.states("health")[-1]["ses"] == worker.presences()[-1][1])
    assert worker.states("health")[-1]["body"]["battery"] == 79


def test_a_clean_stop_says_off_and_leaves_no_will_behind(site: Site):
    worker = site.worker
    site.start()
    until(lambda: worker.presences() == [("online", 1)])
    site.finish()
    until(lambda: worker.presences()[-1] == ("off", 1))
    time.sleep(2)
    assert [said for said, _ in worker.presences()] == ["online", "off"]
    assert not site.spool.link().online


def test_a_killed_uplink_is_lost_after_the_will_delay_with_its_session_number(site: Site):
    worker = site.worker
    running = site.spawn()
    until(lambda: worker.presences() == [("online", 1)])
    running.kill()
    until(lambda: worker.presences()[-1] == ("lost", 1), what="the will")


def test_a_quick_return_says_online_with_a_higher_number_and_no_will_comes_after_it(site: Site):
    worker = site.worker
    running = site.spawn()
    until(lambda: worker.presences() == [("online", 1)])
    running.kill()
    running.wait()
    site.start()
    until(lambda: worker.presences()[-1] == ("online", 2))
    time.sleep(2)
    assert worker.presences()[-1] == ("online", 2)
    assert all(number == 1 for said, number in worker.presences() if said == "lost")


def test_no_event_is_lost_when_the_broker_is_killed_again_and_again(site: Site):
    worker = site.worker
    ids = []
    site.start()
    for _ in range(3):
        ids += [site.report() for _ in range(15)]
        time.sleep(0.1)
        site.broker.kill()
        ids += [site.report() for _ in range(5)]
        site.broker.start()
        time.sleep(0.5)
    until(lambda: site.spool.reports_waiting() == 0)
    assert set(worker.committed) == set(ids)
    assert [worker.committed[name]["seq"] for name in ids] == list(range(1, 61))


def test_no_event_is_lost_when_the_uplink_is_killed_at_any_moment(site: Site):
    worker = site.worker
    ids, chance = [], random.Random(3)
    for _ in range(4):
        ids += [site.report() for _ in range(30)]
        seen = sum(worker.times_heard.values())
        running = site.spawn()
        until(lambda: sum(worker.times_heard.values()) > seen)  # noqa: B023 - called here
        time.sleep(chance.random() * 0.05)
        running.kill()
        running.wait()
    site.start()
    until(lambda: site.spool.reports_waiting() == 0)
    assert set(worker.committed) == set(ids)
    sessions = [number for _, number in worker.presences()]
    assert sessions == sorted(sessions)


def test_what_is_no_message_of_ours_is_ignored_and_the_session_stays(site: Site):
    worker = site.worker
    site.start()
    until(worker.presences)
    kit = f"tl/v1/kit/{KIT}"
    publish = worker._client.client.publish
    publish(f"{kit}/down/rcpt", b"\xff\x00", qos=1)
    publish(f"{kit}/down/other", b"{}", qos=1)
    publish(f"{kit}/down/rcpt", b"x" * 40_000, qos=1)
    worker.say(f"{kit}/down/rcpt", {"kind": "receipts", "ids": ["../../etc/passwd"]}, KIT)
    worker.say(f"{kit}/down/rcpt", {"kind": "receipts", "ids": ["01ARZ3NDEKTSV4RRFFQ69G5FAV"]}, "kit-other")
    message_id = site.report()
    until(lambda: message_id in worker.committed)
    until(lambda: site.spool.reports_waiting() == 0)
    assert [said for said, _ in worker.presences()] == ["online"]
