"""Jobs of the fleet at a whole kit: done once, told once, and nothing done for whoever may not ask."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.agent.jobs import STRANGE
from device.spool.records import Report
from device.spool.steering_hatch import SteeringHatch
from protocol import canonical, signed
from protocol.command import Command, sign_command
from protocol.ids import new_ulid
from protocol.instant import write_instant
from protocol.messages import JobEvent, decode_body
from protocol.topics import Tail
from tests.device.agent.kit import KIT, OFFICER, PIN, Desktop, Kit
from tests.device.agent.test_retention import SetClock
from tests.mosquitto import free_port, until

HOUR = timedelta(hours=1)


class Fleet:
    """Gives jobs to a kit, and hears what became of them."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.counter = kit, 100
        self.hatch = SteeringHatch(kit.data / "spool")
        self.kid = signed.key_id(kit.command_key.public_key())

    def command(self, action: str = "report-now", **changes: Any) -> Command:
        now = self.kit.clock.now()
        self.counter += 1
        values: dict[str, Any] = {
            "v": 1, "kit_id": KIT, "job": new_ulid(), "counter": self.counter, "action": action,
            "issued": write_instant(now), "not_after": write_instant(now + HOUR),
        }  # fmt: skip
        return Command(**(values | changes))

    def give(self, command: Command) -> str:
        """As the uplink puts it down; the job."""
        self.hatch.store_command(command.job, sign_command(command, self.kit.command_key, self.kid))
        return command.job

    def heard(self, job: str) -> list[tuple[str, str]]:
        return [(event.state, event.code) for event in self.events() if event.job == job]

    def events(self) -> list[JobEvent]:
        folder = self.kit.data / "spool" / "events"
        found = []
        for path in sorted(folder.glob("[0-9]*.json")):
            report = msgspec.json.decode(path.read_bytes(), type=Report)
            if report.tail is Tail.JOB:
                body = decode_body(Tail.JOB, bytes(report.body))
                assert isinstance(body, JobEvent)
                found.append(body)
        return found


@pytest.fixture
def fleet(kit: Kit) -> Fleet:
    (kit.data / "spool" / "commands").mkdir(parents=True)
    return Fleet(kit)


DONE = [("accepted", ""), ("running", ""), ("done", "")]


def test_a_job_that_waited_for_the_kit_is_done_when_it_is_on(kit: Kit, fleet: Fleet) -> None:
    job = fleet.give(fleet.command())
    with Desktop(kit):
        until(lambda: fleet.heard(job) == DONE, what="the job to be done")
        health = kit.data / "spool" / "shown" / "health.json"
        before = health.stat().st_mtime_ns
        fleet.give(fleet.command())
        until(lambda: health.stat().st_mtime_ns > before, what="a fresh report")
        assert not list((kit.data / "spool" / "commands").iterdir())


def test_a_job_offered_again_is_told_again_and_not_done_again(kit: Kit, fleet: Fleet) -> None:
    command = fleet.command("try-uploads-now")
    with Desktop(kit):
        job = fleet.give(command)
        asked = kit.data / "spool" / "try-now"
        until(asked.exists)
        until(lambda: fleet.heard(job) == DONE[:2])  # under way until the uplink has taken note of it
        asked.unlink()
        until(lambda: fleet.heard(job) == DONE)
        for path in (kit.data / "spool" / "events").glob("[0-9]*.json"):
            path.unlink()  # the fleet's receipts came, but the fleet was put back to before
        fleet.give(command)
        until(lambda: fleet.heard(job) == DONE)
        time.sleep(0.5)
        assert not asked.exists()


def test_a_renewal_on_command_is_done_when_the_new_certificate_is_in_use(kit: Kit, fleet: Fleet) -> None:
    asked = kit.data / "spool" / "renew-now"
    with Desktop(kit):
        job = fleet.give(fleet.command("renew-certificate"))
        until(asked.exists)
        until(lambda: fleet.heard(job) == DONE[:2])
    ordered = asked.stat().st_mtime_ns
    with Desktop(kit):  # a start in the middle commands nothing again
        time.sleep(0.5)
        assert fleet.heard(job) == DONE[:2]
        assert asked.stat().st_mtime_ns == ordered
        asked.unlink()  # as the uplink, with the new one in use
        until(lambda: fleet.heard(job) == DONE)


def test_a_renewal_that_does_not_come_in_time_has_failed_and_may_still_come(kit: Kit, fleet: Fleet) -> None:
    soon = write_instant(kit.clock.now() + timedelta(seconds=2))
    with Desktop(kit):
        job = fleet.give(fleet.command("renew-certificate", not_after=soon))
        until(lambda: fleet.heard(job) == [*DONE[:2], ("failed", "timed-out")])
    assert (kit.data / "spool" / "renew-now").exists()


@pytest.mark.parametrize(
    "landmark", ["command:before", "command:after", "job:before", "job:after", "job-told:before"]
)
def test_kill_9_at_any_moment_and_it_is_told_once(kit: Kit, fleet: Fleet, landmark: str) -> None:
    job = fleet.give(fleet.command())
    line = "\t".join((str(kit.write_config(free_port())), "", landmark, "1"))
    program = (sys.executable, "-m", "tests.device.agent.crashing")
    ran = subprocess.run(program, input=f"{line}\n", text=True, capture_output=True, timeout=60, check=True)
    assert ran.stdout == "9\n"
    with Desktop(kit):
        until(lambda: fleet.heard(job) == DONE)
        time.sleep(0.5)
        assert fleet.heard(job) == DONE
        fleet.give(fleet.command())
        until(lambda: len(fleet.events()) == 6)


def test_lock_waits_for_the_end_of_a_visit_or_for_its_own(kit: Kit, fleet: Fleet) -> None:
    line = kit.visit()
    kit.bring_bag(line)
    with Desktop(kit) as top:
        top.until_step(line, "inform")
        job = fleet.give(fleet.command("lock"))
        late = fleet.give(
            fleet.command("lock", not_after=write_instant(kit.clock.now() + timedelta(seconds=3)))
        )
        until(lambda: fleet.heard(job) == DONE[:1])
        until(lambda: fleet.heard(late) == [("accepted", ""), ("failed", "timed-out")])
        assert top.desk.now().officer is not None
        top.desk.leave()
        until(lambda: fleet.heard(job) == DONE)
        top.until(lambda seen: seen.officer is None)
        top.desk.unlock(OFFICER, PIN)


def test_a_self_test_says_how_it_is(kit: Kit, fleet: Fleet) -> None:
    with Desktop(kit) as top:
        top.until(lambda seen: seen.peripherals)
        job = fleet.give(fleet.command("self-test"))
        until(lambda: len(fleet.heard(job)) == 3)
        assert fleet.heard(job)[-1] == ("done", "")
    (kit.list_path).write_text("no list")
    with Desktop(kit):
        job = fleet.give(fleet.command("self-test"))
        until(lambda: len(fleet.heard(job)) == 3)
        assert fleet.heard(job)[-1] == ("failed", "self-test")


Wrong = Callable[[Fleet], str]


def by_a_stranger(fleet: Fleet) -> str:
    command = fleet.command()
    fleet.hatch.store_command(
        command.job, sign_command(command, ec.generate_private_key(ec.SECP256R1()), fleet.kid)
    )
    return command.job


def signed_so(fleet: Fleet, **changes: Any) -> str:
    """By the right key, but no fleet of ours writes it."""
    command = fleet.command()
    payload = msgspec.to_builtins(command) | changes
    token = signed.sign("command", canonical.dumps(payload), fleet.kit.command_key, fleet.kid)
    fleet.hatch.store_command(command.job, token)
    return command.job


def replayed(fleet: Fleet) -> str:
    first = fleet.give(fleet.command())
    until(lambda: fleet.heard(first) == DONE)
    return fleet.give(fleet.command(counter=fleet.counter))


@pytest.mark.parametrize(
    ("code", "give"),
    [
        ("signature", by_a_stranger),
        ("malformed", lambda fleet: signed_so(fleet, arguments=["x"])),
        ("malformed", lambda fleet: signed_so(fleet, counter="5")),
        ("unknown-action", lambda fleet: signed_so(fleet, action="shell")),
        ("other-kit", lambda fleet: fleet.give(fleet.command(kit_id="kit-other"))),
        ("replayed", replayed),
        ("expired", lambda fleet: fleet.give(fleet.command(
            issued="2026-11-20T09:00:00Z", not_after="2026-11-20T10:00:00Z"))),
    ],
)  # fmt: skip
def test_what_must_not_be_done_is_refused_by_its_code(kit: Kit, fleet: Fleet, code: str, give: Wrong) -> None:
    with Desktop(kit):
        job = give(fleet)
        until(lambda: fleet.heard(job))
        assert fleet.heard(job) == [("refused", code)]
        good = fleet.give(fleet.command())
        until(lambda: fleet.heard(good) == DONE, what="the next good one")


def test_a_forged_name_does_not_take_the_place_of_the_job_that_comes(kit: Kit, fleet: Fleet) -> None:
    with Desktop(kit):
        job = by_a_stranger(fleet)
        until(lambda: fleet.heard(job) == [("refused", "signature")])
        fleet.give(fleet.command(job=job))
        until(lambda: fleet.heard(job) == [("refused", "signature"), *DONE])


def test_a_flood_of_forgeries_does_not_fill_the_outbox(kit: Kit, fleet: Fleet) -> None:
    with Desktop(kit):
        for _ in range(STRANGE + 10):
            by_a_stranger(fleet)
        until(lambda: not list((kit.data / "spool" / "commands").iterdir()))
        assert len(fleet.events()) == STRANGE
        good = fleet.give(fleet.command())
        until(lambda: fleet.heard(good) == DONE)


def test_two_that_came_at_once_are_done_in_the_order_they_were_given(kit: Kit, fleet: Fleet) -> None:
    first, second = fleet.command(), fleet.command()
    jobs = sorted((first.job, second.job), reverse=True)  # their names say another order
    for command, job in zip((first, second), jobs, strict=True):
        fleet.give(Command(**{n: getattr(command, n) for n in command.__struct_fields__} | {"job": job}))
    with Desktop(kit):
        until(lambda: all(fleet.heard(job) == DONE for job in jobs))


def test_a_clock_that_cannot_be_right_judges_nothing_until_it_is(kit: Kit, fleet: Fleet) -> None:
    hatch = kit.hatch()
    hatch.note_time(kit.clock.now())
    hatch.close()
    with Desktop(kit, clock=SetClock(timedelta(days=-3))):
        job = fleet.give(fleet.command())
        time.sleep(1)
        assert fleet.heard(job) == []
    with Desktop(kit):
        until(lambda: fleet.heard(job) == DONE)
