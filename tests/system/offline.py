"""An agent that tells of sealed visits while its clock says something:
`python -m tests.system.offline SPOOL VISIT,PACKET,MANIFEST...`."""

import sys
from pathlib import Path

from device.spool.spool import Spool
from protocol.messages import ApplicationEvent, VisitEvent, encode_body
from protocol.topics import Tail


def main() -> None:
    spool = Spool(Path(sys.argv[1]))
    for sealed in sys.argv[2:]:
        visit_id, packet_id, manifest = sealed.split(",")
        told = ApplicationEvent(packet_id, visit_id, "sealed", manifest)
        spool.report(Tail.VISIT, encode_body(Tail.VISIT, VisitEvent(visit_id, "sealed")))
        spool.report(Tail.APPLICATION, encode_body(Tail.APPLICATION, told))
    spool.close()


if __name__ == "__main__":
    main()
