"""Plays a visit whose photo the service cannot use, the short visit after it for the photo alone, and one
more, because the service then asks for the signature as well.
"""

from datetime import datetime
from pathlib import Path

from provisioning.demo import troupe
from provisioning.demo.cast import OFFICERS
from provisioning.demo.headless import NotAsItMust, check, check_custody, custody, play_one, settles
from provisioning.demo.layout import KIT
from provisioning.demo.progress import Progress
from provisioning.demo.running import ZONE, Demo, Script, running
from provisioning.demo.town_hall import Planned

ASKED = (("photo", "photo-blurred", "17:00"), ("signature", "signature-quality", "17:30"))
"""What the service asks, why, and when the short visit for it is: behind the visits of the day."""
MINUTES = 15


def play(folder: Path, script: Script, progress: Progress) -> None:
    """Start, the whole visit, the short ones, checks, stop. Raises what went wrong, named."""
    with running(folder, script, progress) as demo:
        act(demo, progress)


def act(demo: Demo, progress: Progress) -> None:
    """All visits and what must be true afterwards, in a demo that runs."""
    for part, code, _ in ASKED:
        troupe.order_service(demo.world, f"recapture:{part}:{code}")
    whole, packets = "", []
    visit = demo.visits[0]
    for part, code, at in ASKED:
        played = play_one(demo, visit, progress)
        packets.append(str(played["packet_id"]))
        whole = whole or packets[0]
        if (played["sealed"], played["asked_anew"]) != ("recapture", [part]):
            raise NotAsItMust(f"the application was {played['sealed']}: {played['answer_code']}")
        _check_counts(demo, sent=1)
        with progress.step(f"short visit planned: only the {part}, again"):
            visit = plan(demo, whole, part, code, at)
    last = play_one(demo, visit, progress)
    packets.append(str(last["packet_id"]))
    if (last["sealed"], last["only"]) != ("accepted", [ASKED[-1][0]]):
        raise NotAsItMust(f"the supplement was {last['sealed']}: {last['answer_code']}")
    with progress.step("accepted as one application, nothing left on the kit: certified"):
        check(demo, *packets)
        _check_counts(demo, accepted=1)
    with progress.step("every chain of custody verified; the supplements name the application"):
        for packet_id in packets:
            check_custody(demo, packet_id, "" if packet_id == whole else whole)
        asked = [_answer(demo, packet_id) for packet_id in packets]
        wanted = [f"recapture: {part}" for part, _, _ in ASKED] + ["accepted"]
        if not all(said.endswith(end) for said, end in zip(asked, wanted, strict=True)):
            raise NotAsItMust(f"the chains say {asked}")


def plan(demo: Demo, whole: str, part: str, code: str, at: str) -> Planned:
    """The planner sees what is asked and gives the same request a short visit, later today."""
    town_hall, visit = demo.town_hall, demo.visits[0]
    wanted = (whole, [part], code)
    settles(
        lambda: _asked(demo) == wanted,
        lambda: f"the planning page says {_asked(demo)}, and the service asked for {wanted}",
    )
    today = datetime.now(ZONE).date()
    town_hall.plan(visit.request_id, OFFICERS[0].officer_id, KIT, today, at, MINUTES)
    return Planned(town_hall.visit_of(visit.request_id, part), visit.request_id, visit.citizen)


def _asked(demo: Demo) -> tuple[str, list[str], str] | None:
    asked = demo.town_hall.asked_anew(demo.visits[0].request_id)
    return (asked["packet_id"], asked["parts"], asked["code"]) if asked is not None else None


def _answer(demo: Demo, packet_id: str) -> str:
    """Who answered what, as the chain says it."""
    return "".join(step["by"] for step in custody(demo, packet_id)["steps"] if step["step"] == "answered")


def _check_counts(demo: Demo, sent: int = 0, accepted: int = 0) -> None:
    """One application, in however many packets."""
    wanted = {"created": 1, "queued": 0, "sent": sent, "accepted": accepted, "refused": 0}
    settles(
        lambda: demo.town_hall.custody()["tally"] == wanted, lambda: str(demo.town_hall.custody()["tally"])
    )
