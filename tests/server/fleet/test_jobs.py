"""Jobs and wishes at the fleet: they wait for weeks, are leased, end, and the kit's word counts."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from sqlalchemy import delete, select

from protocol.command import ACTIONS, verify_command
from protocol.desired import verify_desired
from protocol.ids import new_ulid
from protocol.messages import (
    AskJobs,
    AskTwin,
    Body,
    Envelope,
    JobEvent,
    JobsAnswer,
    Reported,
    SettingResult,
    TwinAnswer,
    address,
    encode,
    instant,
)
from protocol.messages.twin import JobState
from protocol.topics import Tail
from server import trust
from server.auth.roles import Actor
from server.db.scope import EVERYONE
from server.db.tables import Incident, Kit, KitJob, OutboxRow
from server.fleet import ingest, jobs, notices, questions, twins
from server.fleet.bags import Sealer
from server.fleet.refused import Refused
from tests.server.town import BRUGGE, DAMME, KIT, OTHER_KIT, Town

NOW = datetime.now(UTC).replace(microsecond=0)
WEEK = timedelta(days=7)
CHIEF = Actor("1", "An Chef", "fleet-admin", None)
BRUGES, ELSEWHERE = Actor("2", "Bea", "admin", BRUGGE), Actor("3", "Dirk", "admin", DAMME)
PLANNER = Actor("4", "Piet", "planner", BRUGGE)
SEQUENCE = itertools.count(1)


def give(town: Town, action: str = "report-now", actor: Actor = CHIEF, now: datetime = NOW) -> str:
    """A job, signed as the worker does."""
    with town.database.writing(actor.scope) as db:
        job = jobs.give(db, actor, KIT, action, now).job
    with town.database.writing(EVERYONE) as db:
        jobs.sign(db, sealer(town), job, now)
    return job


def sealer(town: Town) -> Sealer:

    return Sealer(trust.command_key(town.config.keys), "command-1")


def say(town: Town, tail: Tail, body: Body, kit: str = KIT, now: datetime = NOW, ses: int = 1) -> str:
    envelope = Envelope(
        v=1, id=new_ulid(), kit=kit, ses=ses, seq=next(SEQUENCE), ts=instant(now), ts_src="ntp", body=body
    )
    topic = address(kit, tail, body)
    return ingest.take(town.database, topic, encode(topic, envelope), now).outcome


def ask(town: Town, now: datetime = NOW) -> list[str]:
    """What a kit that asks is told."""
    corr = new_ulid()
    assert say(town, Tail.ASK_JOBS, AskJobs(corr), now=now) == "asked"
    with town.database.writing(EVERYONE) as db:
        row = db.scalars(select(OutboxRow).where(OutboxRow.queue == "answer")).one()
        kit_id, tail, body = questions.answer(db, row.subject, row.body, now)
        db.delete(row)
    assert isinstance(body, JobsAnswer)
    assert (kit_id, tail, body.corr) == (KIT, Tail.ANSWER_JOBS, corr)
    return list(body.commands)


def state(town: Town, job: str) -> tuple[str, str]:
    with town.database.reading(EVERYONE) as db:
        row = db.get_one(KitJob, job)
        return row.state, row.code


def bells(town: Town) -> list[str]:
    with town.database.reading(EVERYONE) as db:
        return list(db.scalars(select(OutboxRow.body).where(OutboxRow.queue == "doorbell")))


def sweep(town: Town, now: datetime) -> None:
    with town.database.writing(EVERYONE) as db:
        jobs.sweep(db, now)


def test_a_job_waits_for_weeks_is_told_rung_for_and_done(town: Town) -> None:
    job = give(town)
    assert "jobs" in bells(town)
    for day in range(25):
        sweep(town, NOW + day * timedelta(days=1))
    (token,) = ask(town, NOW + 25 * timedelta(days=1))
    command = verify_command(token, town.command_keys, KIT, 0, NOW + 26 * timedelta(days=1))
    assert (command.job, command.action) == (job, "report-now")
    for step in ("accepted", "running", "done"):
        assert say(town, Tail.JOB, JobEvent(job, step)) == f"job-{step}"
    assert say(town, Tail.JOB, JobEvent(job, "accepted")) == "old-news"
    assert state(town, job) == ("done", "")
    assert ask(town) == []


def test_without_word_of_the_kit_a_job_is_rung_for_and_offered_again_as_the_same(town: Town) -> None:
    give(town)
    with town.database.writing(EVERYONE) as db:
        db.execute(delete(OutboxRow))
        db.get_one(Kit, KIT).presence = "online"
    (token,) = ask(town)
    sweep(town, NOW + jobs.ANSWERED - timedelta(seconds=1))
    assert bells(town) == []
    for _ in range(3):
        sweep(town, NOW + jobs.ANSWERED + timedelta(seconds=1))
    assert bells(town) == ["jobs"]
    assert ask(town) == [token]


def test_what_a_kit_has_accepted_is_not_offered_until_its_time_is_up(town: Town) -> None:
    job = give(town)
    (token,) = ask(town)
    say(town, Tail.JOB, JobEvent(job, "accepted"))
    assert ask(town, NOW + jobs.WORKED - timedelta(seconds=1)) == []
    assert ask(town, NOW + jobs.WORKED + timedelta(seconds=1)) == [token]


def test_at_its_end_a_job_is_given_up_but_the_kits_word_counts_more(town: Town) -> None:
    waits, begun = give(town), give(town)
    ask(town)
    say(town, Tail.JOB, JobEvent(begun, "accepted"))
    end = NOW + jobs.USUAL
    sweep(town, end)
    assert (state(town, waits)[0], state(town, begun)[0]) == ("expired", "accepted")
    assert ask(town, end) == []
    sweep(town, end + jobs.WORKED)
    assert state(town, begun)[0] == "expired"
    say(town, Tail.JOB, JobEvent(waits, "refused", "expired"))
    say(town, Tail.JOB, JobEvent(begun, "done"))
    assert (state(town, waits), state(town, begun)) == (("refused", "expired"), ("done", ""))


def test_a_job_may_be_taken_back_until_the_kit_has_it(town: Town) -> None:
    job, kept = give(town), give(town)
    say(town, Tail.JOB, JobEvent(kept, "accepted"))
    with town.database.writing(EVERYONE) as db:
        jobs.cancel(db, CHIEF, job, NOW)
        with pytest.raises(Refused, match="job-begun"):
            jobs.cancel(db, CHIEF, kept, NOW)
        with pytest.raises(Refused, match="unknown-job"):
            jobs.cancel(db, CHIEF, new_ulid(), NOW)
    assert state(town, job) == ("cancelled", "")
    assert ask(town) == []


@pytest.mark.parametrize(
    ("actor", "kit", "action", "life", "code"),
    [
        (PLANNER, KIT, "lock", WEEK, "not-allowed"),
        (ELSEWHERE, KIT, "lock", WEEK, "unknown-kit"),
        (CHIEF, "kit-none", "lock", WEEK, "unknown-kit"),
        (BRUGES, KIT, "shell", WEEK, "unknown-action"),
        (BRUGES, KIT, "lock", timedelta(), "bad-end"),
        (BRUGES, KIT, "lock", 13 * WEEK, "bad-end"),
    ],
)
def test_who_may_not_or_asks_what_cannot_be_is_refused(
    town: Town, actor: Actor, kit: str, action: str, life: timedelta, code: str
) -> None:
    with town.database.writing(actor.scope) as db, pytest.raises(Refused, match=code):
        jobs.give(db, actor, kit, action, NOW, life)


def test_all_open_jobs_of_a_kit_fit_into_one_answer(town: Town) -> None:
    given = [give(town, ACTIONS[number % len(ACTIONS)], BRUGES) for number in range(jobs.MOST)]
    with town.database.writing(EVERYONE) as db, pytest.raises(Refused, match="too-many-jobs"):
        jobs.give(db, CHIEF, KIT, "lock", NOW)
    tokens = ask(town)
    last = 0
    for job, token in zip(given, tokens, strict=True):
        command = verify_command(token, town.command_keys, KIT, last, NOW)
        assert command.job == job
        last = command.counter


def test_what_a_kit_was_told_and_we_never_said_is_an_incident(town: Town) -> None:
    job = give(town)
    assert say(town, Tail.JOB, JobEvent(new_ulid(), "refused", "signature")) == "unknown-job"
    assert say(town, Tail.JOB, JobEvent(job, "done"), kit=OTHER_KIT) == "unknown-job"
    assert state(town, job)[0] == "waiting"
    with town.database.reading(EVERYONE) as db:
        assert {row.code for row in db.scalars(select(Incident))} == {"command-unknown"}


def test_the_kit_may_say_every_step_and_the_book_knows_what_it_does_not(town: Town) -> None:
    for step in get_args(JobState):
        job = give(town)
        outcome = say(town, Tail.JOB, JobEvent(job, step))
        assert outcome == (f"job-{step}" if step in jobs.RANK else "job-state-unknown")


def test_a_wish_grows_by_version_is_signed_and_compared_with_what_the_kit_says(town: Town) -> None:
    with town.database.writing(BRUGES.scope) as db:
        assert twins.wish(db, BRUGES, KIT, {"language": "fr", "idle-lock-s": 120}, NOW).version == 1
        assert twins.wish(db, BRUGES, KIT, {"language": "fr", "idle-lock-s": 120}, NOW).version == 1
        assert twins.wish(db, BRUGES, KIT, {"language": "de"}, NOW).version == 2
    with town.database.writing(EVERYONE) as db:
        assert twins.document(db, KIT) is None
        assert twins.sign(db, sealer(town), KIT, NOW) == "version-2"
        token = twins.document(db, KIT)
        assert token is not None
        wish = verify_desired(token, town.command_keys, KIT, 0, NOW)
        assert (wish.version, wish.settings) == (2, {"language": "de"})
        lines = {line.key: (line.wanted, line.state) for line in twins.standing(db, KIT).lines}
        assert lines["language"] == ("de", "waiting")
    said = Reported(version=2, results=(SettingResult("language", "pending", "after-visit"),))
    assert say(town, Tail.REPORTED, said) == "state"
    assert say(town, Tail.REPORTED, Reported(version=1), ses=0) == "again"
    with town.database.reading(EVERYONE) as db:
        now = twins.standing(db, KIT)
        assert (now.set_by, now.reported) == ("Bea", 2)
        assert next(line for line in now.lines if line.wanted).state == "pending"
    # A database put back from a backup asks for more than the kit has.
    say(town, Tail.REPORTED, Reported(version=9, refused="replayed"))
    with town.database.writing(EVERYONE) as db:
        assert twins.standing(db, KIT).refused == "replayed"
        assert twins.wish(db, CHIEF, KIT, {}, NOW).version == 10
        for bad, code in (({"camera": 1}, "unknown-setting"), ({"language": "tlh"}, "setting-out-of-range")):
            with pytest.raises(Refused, match=code):
                twins.wish(db, CHIEF, KIT, bad, NOW)
        with pytest.raises(Refused, match="not-allowed"):
            twins.wish(db, PLANNER, KIT, {}, NOW)


def test_a_wish_near_its_end_is_signed_again_as_the_same_version(town: Town) -> None:
    with town.database.writing(EVERYONE) as db:
        twins.wish(db, CHIEF, KIT, {"language": "fr"}, NOW)
        twins.sign(db, sealer(town), KIT, NOW)
        db.execute(delete(OutboxRow))
        twins.renew(db, NOW + timedelta(days=100))
        assert list(db.scalars(select(OutboxRow.queue))) == []
        twins.renew(db, NOW + timedelta(days=201))
        assert list(db.scalars(select(OutboxRow.body))) == ["twin"]
        assert twins.sign(db, sealer(town), KIT, NOW + timedelta(days=201)) == "version-1"


def test_of_many_questions_the_newest_is_answered(town: Town) -> None:
    first, last = new_ulid(), new_ulid()
    for corr in (first, last):
        say(town, Tail.ASK_TWIN, AskTwin(corr))
    with town.database.writing(EVERYONE) as db:
        row = db.scalars(select(OutboxRow).where(OutboxRow.queue == "answer")).one()
        assert questions.answer(db, row.subject, row.body, NOW)[2] == TwinAnswer(last, None)


def test_a_notice_tells_of_an_outage_until_it_is_over(town: Town) -> None:
    begins, ends = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    with town.database.writing(EVERYONE) as db:
        assert notices.said(db, NOW).outage is None
        notices.announce(db, CHIEF, begins, ends, NOW)
        outage = notices.said(db, NOW).outage
        assert outage is not None
        assert (outage.begins, outage.ends) == (instant(begins), instant(ends))
        assert notices.said(db, ends).outage is None
        notices.announce(db, CHIEF, None, None, NOW)
        assert notices.said(db, NOW).outage is None
        for actor, at, to, code in (
            (BRUGES, begins, ends, "not-allowed"),
            (CHIEF, ends, begins, "bad-outage"),
            (CHIEF, begins, None, "bad-outage"),
            (CHIEF, NOW - WEEK, NOW - timedelta(days=1), "bad-outage"),
        ):
            with pytest.raises(Refused, match=code):
                notices.announce(db, actor, at, to, NOW)
