"""Whatever is killed and whenever: nothing shown as kept is lost, and the service has it exactly once."""

import pytest

from provisioning.demo import headless, troupe
from provisioning.demo.progress import Progress
from tests.system.conftest import Staged
from tests.system.storm import storm

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

CAPTURES = {"read the card", "take the photo", "right index finger", "left index finger", "sign", "seal"}
SEEN_AGAIN = {"unlock", "choose the visit", "check who it is", "keep the photo", "upload, forward, receipt"}


def test_the_agent_is_killed_after_every_step_and_no_step_is_asked_for_twice(staged: Staged) -> None:
    with staged() as demo, storm(demo.programs) as power:
        cut: set[str] = set()

        def watch(moment: str) -> None:
            step, _, done = moment.partition(":")
            if done and step not in cut:
                cut.add(step)
                power.strike("agent")
                power.calm()

        progress = Progress(printer=lambda line: None)
        packet_id = headless.play_visit(demo, progress, watch, patience=20)
        played = [step for step, _ in progress.steps]
        assert power.strikes == len(cut) >= 13
        repeated = {step for step in played if played.count(step) > 1}
        assert repeated <= SEEN_AGAIN
        headless.check(demo, packet_id)


def test_the_agent_is_killed_in_the_middle_of_every_capture(staged: Staged) -> None:
    with staged() as demo, storm(demo.programs) as power:
        cut: set[str] = set()

        def watch(step: str) -> None:
            power.calm()
            if step in CAPTURES and step not in cut:
                cut.add(step)
                power.strike("agent", after_s=0.35 if step != "seal" else 0.02)

        packet_id = headless.play_visit(demo, Progress(lambda line: None), watch, patience=20)
        power.calm()
        assert cut == CAPTURES
        headless.check(demo, packet_id)


def test_broker_fleet_service_and_uplink_are_killed_in_turn_around_the_upload(staged: Staged) -> None:
    with staged() as demo, storm(demo.programs) as power:
        struck: list[str] = []

        def watch(moment: str) -> None:
            when = {
                "take the photo": ("broker", 0.0, 1.0),
                "sign": ("fleet", 0.0, 1.0),
                "review by the citizen": ("service", 0.0, 0.5),
                "seal": ("uplink", 0.1, 0.2),
                "upload, forward, receipt": ("fleet", 0.15, 0.5),
            }
            if moment in when and moment not in struck:
                struck.append(moment)
                power.strike(*when[moment])
                if moment == "upload, forward, receipt":
                    power.strike("broker", 0.2, 0.5)
                    power.strike("service", 0.2, 0.5)

        troupe.order_service(demo.world, "lose", 1)
        packet_id = headless.play_visit(demo, Progress(lambda line: None), watch, patience=5)
        power.calm()
        assert power.strikes == 7
        headless.check(demo, packet_id)
