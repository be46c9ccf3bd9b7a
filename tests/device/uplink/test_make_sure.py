"""A fleet that was put back from a copy may not know what it said it holds: it is asked and sent it anew."""

import time

from tests.device.uplink.conftest import Site
from tests.device.uplink.fleet_stand import Call, Handler
from tests.device.uplink.test_uploads import PIECE, sealed
from tests.mosquitto import until


def test_what_the_fleet_has_lost_since_is_sent_again_after_a_start(site: Site):
    data = sealed(3 * PIECE)
    packet_id = site.offer(data)
    site.start()
    until(lambda: site.spool.uploaded() == [packet_id])
    site.finish()
    site.stand.uploads.clear()
    site.start()
    until(lambda: site.stand.complete(packet_id, data))
    until(lambda: site.spool.uploaded() == [packet_id])


def test_what_it_still_holds_costs_one_question_a_day_and_waits_for_what_is_new(site: Site):
    first, second = (site.offer(sealed(3 * PIECE, seed)) for seed in range(2))
    site.start()
    until(lambda: site.spool.uploaded() == [first, second])
    site.finish()
    site.stand.calls.clear()
    third = site.offer(sealed(PIECE, 3))
    site.start(asked_again_s=1.0, look_every_s=0.1)

    def asked() -> list[str]:
        return [call.path.rsplit("/", 1)[1] for call in site.stand.calls if call.method == "POST"]

    until(lambda: asked().count(first) == 2)
    assert asked()[:3] == [third, first, second]
    assert [call.length for call in site.stand.patches()] == [PIECE]
    site.finish()
    site.stand.calls.clear()
    site.start(look_every_s=0.1)
    until(lambda: asked() == [first, second, third])
    time.sleep(0.5)  # several looks
    assert asked() == [first, second, third]


def test_a_fleet_that_cannot_say_just_then_is_asked_again_soon_and_not_a_day_later(site: Site):
    data = sealed(3 * PIECE)
    packet_id = site.offer(data)
    site.start()
    until(lambda: site.spool.uploaded() == [packet_id])
    site.finish()
    site.stand.uploads.clear()
    busy = [503]

    def refuse(handler: Handler, call: Call) -> bool:
        if call.method != "POST" or "/uploads/" not in call.path or not busy:
            return False
        handler.answer(busy.pop())
        return True

    site.stand.faults.append(refuse)
    site.start(retry_first_s=0.1, retry_most_s=0.1, look_every_s=0.1)
    until(lambda: site.stand.complete(packet_id, data))
