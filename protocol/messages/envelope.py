"""The envelope around every body, and the only way in and out of bytes: strict both ways."""

import re
from typing import Literal

import msgspec

from protocol.messages import batch, often
from protocol.messages.batch import Batch
from protocol.messages.downward import Doorbell, FleetState, Receipts
from protocol.messages.events import AccessEvent, ApplicationEvent, DeletionEvent, VisitEvent
from protocol.messages.fields import BadMessage, Count, Instant, KitOrFleet, Strict, TimeSource, Ulid, moment
from protocol.messages.squeeze import unsqueeze
from protocol.messages.states import Birth, Health, Presence
from protocol.messages.twin import (
    AskJobs,
    AskTime,
    AskTwin,
    Desired,
    JobEvent,
    JobsAnswer,
    Notice,
    Reported,
    TimeAnswer,
    TwinAnswer,
)
from protocol.topics import BadTopic, Tail, job_of, parse, topic_of

MAX_BYTES = 32_768

Body = (
    Presence
    | Birth
    | Health
    | VisitEvent
    | ApplicationEvent
    | DeletionEvent
    | AccessEvent
    | JobEvent
    | Batch
    | Reported
    | AskJobs
    | AskTwin
    | AskTime
    | JobsAnswer
    | TwinAnswer
    | TimeAnswer
    | Desired
    | Notice
    | Receipts
    | Doorbell
    | FleetState
)

BODY_OF: dict[Tail, type[Body]] = {
    Tail.PRESENCE: Presence,
    Tail.BIRTH: Birth,
    Tail.HEALTH: Health,
    Tail.VISIT: VisitEvent,
    Tail.APPLICATION: ApplicationEvent,
    Tail.DELETION: DeletionEvent,
    Tail.ACCESS: AccessEvent,
    Tail.BATCH: Batch,
    Tail.REPORTED: Reported,
    Tail.JOB: JobEvent,
    Tail.ASK_JOBS: AskJobs,
    Tail.ASK_TWIN: AskTwin,
    Tail.ASK_TIME: AskTime,
    Tail.ANSWER_JOBS: JobsAnswer,
    Tail.ANSWER_TWIN: TwinAnswer,
    Tail.ANSWER_TIME: TimeAnswer,
    Tail.DESIRED: Desired,
    Tail.NOTICE: Notice,
    Tail.RECEIPTS: Receipts,
    Tail.DOORBELL: Doorbell,
    Tail.FLEET: FleetState,
}


class Envelope(Strict, frozen=True, kw_only=True):
    """Around every body.

    `ses` counts the sender's connects. `seq` of an event is its place in the kit's outbox: from 1, without
    gaps, the same at every sending; of anything else it grows within the session. `ts` is when it became
    true.
    """

    v: Literal[1]
    id: Ulid
    kit: KitOrFleet
    ses: Count
    seq: Count
    ts: Instant
    ts_src: TimeSource
    body: Body


class Gathered(Envelope, frozen=True, kw_only=True):
    """Around a report that came in a batch."""


_body_decoder: msgspec.json.Decoder[Body] = msgspec.json.Decoder(Body)
_envelope_decoder = msgspec.json.Decoder(Envelope)


def encode(topic: str, envelope: Envelope) -> bytes:
    """The bytes to publish on `topic`. BadMessage when they would not be taken by `decode`."""
    data = msgspec.json.encode(envelope)
    decode(topic, data)  # a Struct's constructor checks nothing; what we send is as strict as what we take
    return data


def decode(topic: str, data: bytes) -> Envelope:
    """The envelope published on `topic`, squeezed or plain. BadMessage unless it is whole, of that kit and of
    that kind."""
    if len(data) > MAX_BYTES:
        raise BadMessage("too-big", f"{len(data)} bytes")
    data = unsqueeze(data, MAX_BYTES)
    try:
        kit_id, tail = parse(topic)
    except BadTopic as problem:
        raise BadMessage("wrong-topic", str(problem)) from problem
    if tail is Tail.HEALTH and (read := often.report(kit_id, data)) is not None:
        said, health = read
        return Envelope(
            v=1,
            id=said.id,
            kit=said.kit,
            ses=said.ses,
            seq=said.seq,
            ts=said.ts,
            ts_src=said.ts_src,
            body=health,
        )
    return _strictly(topic, kit_id, tail, data)


def _strictly(topic: str, kit_id: str, tail: Tail, data: bytes) -> Envelope:
    try:
        envelope = _envelope_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage("malformed", _place(problem)) from problem
    moment(envelope.ts)
    if envelope.kit != kit_id:
        raise BadMessage("wrong-topic", "the envelope names another kit than the topic")
    if tail is Tail.JOB and isinstance(envelope.body, JobEvent) and envelope.body.job != job_of(topic):
        raise BadMessage("wrong-topic", "the body names another job than the topic")
    _check_body(tail, envelope.body)
    return envelope


def apart(envelope: Envelope) -> tuple[Envelope, ...]:
    """What a message says: itself, or each report of a batch as if it had come alone."""
    if type(envelope.body) is not Batch:
        return (envelope,)
    return tuple(
        Gathered(
            v=1,
            id=item.id,
            kit=envelope.kit,
            ses=envelope.ses,
            seq=item.seq,
            ts=item.ts,
            ts_src=item.ts_src,
            body=item.body,
        )
        for item in envelope.body.reports
    )


def address(kit_id: str, tail: Tail, body: Body) -> str:
    """The topic that `body` goes on. BadTopic as `topic_of`."""
    return topic_of(kit_id, tail, body.job if isinstance(body, JobEvent) else "")


def encode_body(tail: Tail, body: Body) -> bytes:
    """JSON of a body that fits `tail`, for the spool. BadMessage when it does not fit or breaks a bound."""
    data = msgspec.json.encode(body)
    decode_body(tail, data)
    return data


def decode_body(tail: Tail, data: bytes) -> Body:
    """The body in JSON `data`. BadMessage unless it is strict and of the kind that belongs on `tail`."""
    if len(data) > MAX_BYTES - 512:  # room for the envelope around it
        raise BadMessage("too-big", f"{len(data)} bytes")
    try:
        body = _body_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadMessage("malformed", _place(problem)) from problem
    _check_body(tail, body)
    return body


def _check_body(tail: Tail, body: Body) -> None:
    if type(body) is not BODY_OF[tail]:
        raise BadMessage("wrong-topic", f"{type(body).__name__} does not belong on {tail}")
    if isinstance(body, Health):
        return  # nearly all are: asking whether it is any of the others costs more than the asking is worth
    if isinstance(body, Birth):
        moment(body.started)
        moment(body.certificate_until)
    elif isinstance(body, Batch):
        batch.check(body)
    elif isinstance(body, TimeAnswer):
        moment(body.now)
    elif isinstance(body, Notice) and (away := body.outage) is not None:
        begins, ends = moment(away.begins), moment(away.ends)
        if begins >= ends:
            raise BadMessage("malformed", "$.body.outage")


def _place(problem: Exception) -> str:
    """Where it went wrong, as a path of our own field names; never what was found there."""
    found = re.search(r"`(\$[a-z0-9_.\[\]]*)`$", str(problem))
    return found[1] if found else ""
