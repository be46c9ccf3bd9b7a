"""An agent that reports while its clock says something: `python -m tests.system.offline SPOOL VISIT...`."""

import sys
from pathlib import Path

from device.spool.spool import Spool
from protocol.messages import VisitEvent, encode_body
from protocol.topics import Tail


def main() -> None:
    spool = Spool(Path(sys.argv[1]))
    for visit_id in sys.argv[2:]:
        spool.report(Tail.VISIT, encode_body(Tail.VISIT, VisitEvent(visit_id, "opened")))
    spool.close()


if __name__ == "__main__":
    main()
