"""Plays a visit whose photo the service cannot use, and the short visit after it: only the photo, again."""

from datetime import datetime
from pathlib import Path

from provisioning.demo import troupe
from provisioning.demo.cast import OFFICERS
from provisioning.demo.headless import NotAsItMust, check, check_custody, custody, play_one, settles
from provisioning.demo.layout import KIT
from provisioning.demo.progress import Progress
from provisioning.demo.running import ZONE, Demo, Script, running
from provisioning.demo.town_hall import Planned

ORDER = "recapture:photo:photo-blurred"
AT, MINUTES = "17:00", 15  # behind the visits of the day


def play(folder: Path, script: Script, progress: Progress) -> None:
    """Start, the whole visit, the short one, checks, stop. Raises what went wrong, named."""
    with running(folder, script, progress) as demo:
        act(demo, progress)


def act(demo: Demo, progress: Progress) -> None:
    """Both visits and what must be true afterwards, in a demo that runs."""
    troupe.order_service(demo.world, ORDER)
    first = play_one(demo, demo.visits[0], progress)
    whole = str(first["packet_id"])
    if (first["sealed"], first["asked_anew"]) != ("recapture", ["photo"]):
        raise NotAsItMust(f"the application was {first['sealed']}: {first['answer_code']}")
    with progress.step("short visit planned: only the photo, again"):
        short = plan(demo, whole)
    second = play_one(demo, short, progress)
    supplement = str(second["packet_id"])
    if (second["sealed"], second["only"]) != ("accepted", ["photo"]):
        raise NotAsItMust(f"the supplement was {second['sealed']}: {second['answer_code']}")
    with progress.step("accepted as one application, nothing left on the kit: certified"):
        check(demo, whole, supplement)
        _check_counts(demo)
    with progress.step("both chains of custody verified; the supplement names the application"):
        check_custody(demo, whole)
        check_custody(demo, supplement, whole)
        answered = [step["by"] for step in custody(demo, whole)["steps"] if step["step"] == "answered"]
        if not answered[0].endswith("recapture: photo"):
            raise NotAsItMust(f"the chain says {answered}")


def plan(demo: Demo, whole: str) -> Planned:
    """The planner sees what is asked and gives the same request a short visit, later today."""
    town_hall, visit = demo.town_hall, demo.visits[0]
    settles(
        lambda: town_hall.asked_anew(visit.request_id) is not None,
        lambda: "the planning page does not know what the service asks",
    )
    asked = town_hall.asked_anew(visit.request_id)
    if asked is None or (asked["packet_id"], asked["parts"], asked["code"]) != (
        whole,
        ["photo"],
        "photo-blurred",
    ):
        raise NotAsItMust(f"the planning page says {asked}")
    today = datetime.now(ZONE).date()
    town_hall.plan(visit.request_id, OFFICERS[0].officer_id, KIT, today, AT, MINUTES)
    return Planned(town_hall.visit_of(visit.request_id, short=True), visit.request_id, visit.citizen)


def _check_counts(demo: Demo) -> None:
    """One application, in two packets."""
    tally = demo.town_hall.custody()["tally"]
    if tally != {"created": 1, "queued": 0, "sent": 0, "accepted": 1, "refused": 0}:
        raise NotAsItMust(f"the fleet counts {tally}")
