"""What the fleet steers this kit by, from afar: jobs and settings, and nothing else."""

from device.agent.jobs import Deeds, Jobs
from device.agent.retention import Calendar
from device.agent.setup import Setup
from device.agent.wishes import Tuned, Wishes
from device.spool.steering import SteeringDesk
from device.vault.database import Database


class Steering:
    """All calls on the desk's thread."""

    def __init__(self, setup: Setup, database: Database, calendar: Calendar, deeds: Deeds) -> None:
        self._desk = desk = SteeringDesk(setup.spool.root)
        self._calendar, self._clock = calendar, setup.clock
        self.clock_wrong = False  # perhaps: it leapt, or is not where the fleet's word allows it to be
        self.tuned = Tuned(setup.health_every_s, setup.idle_lock_s)
        about = (desk, setup.spool, setup.command_keys, setup.kit.kit_id, calendar, setup.clock, setup.passed)
        self._jobs = Jobs(database, *about, deeds)
        self._wishes = Wishes(database, *about, self.tuned)

    def look(self, in_visit: bool) -> None:
        self._wishes.look(in_visit)
        self._jobs.look(in_visit)
        right = self._desk.clock_can_be_right(self._clock.now())
        self.clock_wrong = self._calendar.doubts() or not right
