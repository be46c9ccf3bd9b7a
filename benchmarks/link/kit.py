"""The uploader of the kit, as it runs in the uplink, in a namespace of its own: it is resident, so what is
measured begins with a packet that is offered and ends with the mark that the fleet has committed it.

`python -m benchmarks.link.kit SETTINGS` reads lines on stdin: `ready` or `alone` (as at the end of a visit,
when the uplink has been told that a packet is near; or not) is answered `{}` once it is so; `ID FILE` the
seconds, once it is there.
"""

import json
import sys
import time
from pathlib import Path
from threading import Event, Thread

from device.spool.hatch import Hatch
from device.spool.spool import Spool
from device.uplink.choice import Choice
from device.uplink.door import Door
from device.uplink.logs import log_to_stderr
from device.uplink.settings import UplinkSettings
from device.uplink.slip import Slip
from device.uplink.standing import Standing
from device.uplink.tls import Trust
from device.uplink.uploads import Uploads

PATIENCE_S = 30.0
RIPE_S = 11.0  # a citizen reads at least so long; and BBR then wants to look at the round trip
PATHS = ("spool", "ca", "certificate", "key")


def main() -> None:
    log_to_stderr()
    values = json.loads(sys.argv[1])
    settings = UplinkSettings(**{name: Path(v) if name in PATHS else v for name, v in values.items()})
    spool, hatch = Spool(settings.spool), Hatch(settings.spool)
    trust = Trust(settings.held().present, hatch.newest_time)
    door = Door(settings.https, trust.context, settings.connect_s, settings.read_s)
    choice = Choice(Slip(lambda: None), settings.ferry_after_s, lambda: False)
    uploads, stop = Uploads(settings, hatch, Standing(hatch), door, choice), Event()
    thread = Thread(target=uploads.run, args=(stop,))
    thread.start()
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() in ("ready", "alone"):
            is_near = line.strip() == "ready"
            spool.announce_packet(is_near)
            uploads.wake()
            until = time.monotonic() + PATIENCE_S
            while door.is_open != is_near and time.monotonic() < until:
                time.sleep(0.02)
            time.sleep(RIPE_S if is_near else 1.0)
            while door.is_ready != is_near and time.monotonic() < until:
                time.sleep(0.02)
            print("{}", flush=True)
            continue
        packet_id, path = line.split()
        data = Path(path).read_bytes()
        began = time.monotonic()
        spool.offer_packet(packet_id, data)
        spool.announce_packet(False)  # as the agent does
        uploads.wake()
        while packet_id not in spool.uploaded() and packet_id not in dict(spool.refused()):
            spool.wait_for_agent(0.02)
        took = time.monotonic() - began
        answer = {"seconds": took, "refused": dict(spool.refused()).get(packet_id, "")}
        spool.withdraw_packet(packet_id)
        print(json.dumps(answer), flush=True)
    stop.set()
    door.abort()
    uploads.hurry()
    thread.join()


if __name__ == "__main__":
    main()
