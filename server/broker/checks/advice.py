"""What of mosquitto.conf is safe and could be better: said with the results, red for nobody. Pure."""

from dataclasses import dataclass

from server.broker.configuration import Configuration
from server.broker.line import RECEIVE_MAXIMUM

_DEFAULT = 20  # mosquitto.conf(5)


@dataclass(frozen=True)
class Advice:
    """`line` is what mosquitto.conf should say; `now` what it says, "" when nothing."""

    line: str
    now: str
    why: str


def advice(conf: Configuration) -> list[Advice]:
    found = []
    option = "max_inflight_messages"
    now = conf.last(option)
    most = int(now) if now.isascii() and now.isdigit() else _DEFAULT
    if 0 < most < RECEIVE_MAXIMUM:  # 0: as many as there are
        why = f"with {most} the ingest waits for the broker when many kits speak at once"
        found.append(Advice(f"{option} {RECEIVE_MAXIMUM}", f"{option} {now}" if now else "", why))
    return found
