"""Checks that the running broker bears: canary kits try what a kit must not be able to do."""

import socket
import ssl
import time

from server.broker import installing, lists, members
from server.broker.checks.stand import REFUSED, Named, Red, Stand, files_of
from server.broker.link import Link
from server.broker.problem import BrokerProblem

BLINK_S = 0.8
DROP_S = 5.0
LARGEST = 128 * 1024
QUEUE = 300


def foreign_topic(stand: Stand) -> str:
    with Link(stand.place, stand.one) as one:
        levels = (
            "up/evt/visit",
            "up/req/jobs",
            "up/job/01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "state/reported",
            "down/job",
        )
        foreign = [f"tl/v1/kit/{stand.two.name}/{level}" for level in levels]
        own = f"tl/v1/kit/{stand.one.name}/down/desired"  # what is said to a kit, nobody but the fleet says
        for topic in (*foreign, own, "tl/v1/all/down/notice", "tl/v1/fleet/state", "anything"):
            reason = one.publish(topic, b"0")
            if reason < REFUSED:
                raise Red(f"a kit may publish on {topic}", "use the dynamic security plugin; `broker agree`")
    return "publishing under another name is refused"


def shared_subscription(stand: Stand) -> str:
    topics = (
        "$share/ingest/tl/v1/kit/+/up/evt/+",
        "tl/v1/kit/+/up/#",
        f"tl/v1/kit/{stand.two.name}/down/#",
        f"tl/v1/kit/{stand.two.name}/down/res/jobs",
        "$share/ingest/tl/v1/kit/+/up/req/+",
        "#",
    )
    with Link(stand.place, stand.one) as one:
        granted = [
            topic for topic, reason in zip(topics, one.subscribe(*topics), strict=True) if reason < REFUSED
        ]
    if granted:
        raise Red(
            f"a kit may subscribe to {granted[0]}",
            "an acl_file does not check SUBSCRIBE: use the dynamic security plugin",
        )
    return "foreign subscriptions are refused, shared ones too"


def take_over(stand: Stand) -> str:
    with Link(stand.place, stand.one) as one:
        thief = Link(stand.place, stand.two, client_id=stand.one.name)
        try:
            with thief:
                gone = one.ended(BLINK_S)
        except BrokerProblem:
            gone = one.ended(BLINK_S)  # refused outright, which does as well
    if gone:
        raise Red("a kit that claims another's client id ends its session", "use_username_as_clientid true")
    return "the client id is the certificate's name"


def live_session(stand: Stand) -> str:
    with Link(stand.place, stand.one) as one:
        began = time.monotonic()
        with stand.control() as control:
            members.dismiss(control, stand.one.name)
            try:
                gone = one.ended(DROP_S)
            finally:
                members.admit(control, stand.one.name)
    if not gone:
        raise Red("a revoked kit's session stays up", "deleteClient must end it: dynamic security plugin")
    return f"dropped {time.monotonic() - began:.2f} s after it was revoked"


def deleted_client(stand: Stand) -> str:
    with stand.control() as control:
        members.dismiss(control, stand.one.name)
        try:
            with Link(stand.place, stand.one) as one:
                said = one.publish(f"tl/v1/kit/{stand.one.name}/up/evt/visit", b"0")
                heard = one.subscribe(f"tl/v1/kit/{stand.one.name}/down/rcpt")[0]
        except BrokerProblem as problem:
            if problem.code != "refused":
                raise
            said = heard = REFUSED
        finally:
            members.admit(control, stand.one.name)
    if said < REFUSED or heard < REFUSED:
        raise Red(
            "a deleted client comes back with its certificate and works", "defaultACLAccess must deny all"
        )
    return "a deleted client that comes back may do nothing"


def revoked(stand: Stand) -> str:
    if installing.admitted(stand.place, stand.release.fresh):
        raise Red(
            "a revoked certificate is let in: the broker runs without its list, or with an old one",
            "set crlfile, then `thuisloket-fleet broker install`; restart mosquitto if it stays so",
        )
    if not installing.admitted(stand.place, stand.two):
        raise Red("a good certificate is refused", "look at the list's and the CAs' dates; `broker install`")
    return "a revoked certificate is refused, a good one is not"


def list_life(stand: Stand) -> str:
    crl, bundle = files_of(stand.conf)
    try:
        found = lists.parse(crl.read_bytes())
        lists.judge(found, lists.authorities(bundle.read_bytes()), stand.now)
    except OSError as problem:
        raise Red(f"{problem.filename}: {problem.strerror}", "the broker's lists must be there") from problem
    except BrokerProblem as problem:
        raise Red(str(problem), problem.remedy) from problem
    return f"{len(found)} lists, the first runs out in {lists.shortest(found, stand.now).days} days"


def oversized(stand: Stand) -> str:
    with Link(stand.place, stand.one) as one, Link(stand.place, stand.two) as two:
        if one.largest > LARGEST:
            raise Red(f"the broker takes packets of {one.largest} bytes", "max_packet_size 65536")
        one.hand_over(f"tl/v1/kit/{stand.one.name}/up/evt/visit", b"0" * (one.largest + 1024))
        if not one.ended(DROP_S):
            raise Red("an oversized message does not end its sender's session", "max_packet_size 65536")
        if two.ended(0):
            raise Red("another kit's session ended with it", "restart mosquitto and report this")
    return f"at most {one.largest} bytes; more ends the sender's session alone"


def worker_death(stand: Stand) -> str:
    stand.leave_session()
    stand.tell_one(3)
    died = Link(stand.place, stand.one, keep=True, by_hand=True).open()
    first = stand.numbers(died, 3)
    died.cut()
    with Link(stand.place, stand.one, keep=True) as back:
        again = stand.numbers(back, 3)
    stand.end_session()
    if first != [0, 1, 2] or again != first:
        raise Red(f"heard {first}, after the death {again}", "max_queued_messages 20000")
    return "what a dying worker had not acknowledged comes again"


def queue_head(stand: Stand) -> str:
    return _queued(
        stand,
        30,
        "take what limits or drops queued messages out of mosquitto.conf (max_queued_messages 20000)",
    )


def queue_depth(stand: Stand) -> str:
    return _queued(stand, QUEUE, "max_queued_messages 20000")


def refusal(stand: Stand) -> str:
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_cert_chain(stand.two.certificate, stand.two.key)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    for context, who in ((nobody, "a client without certificate"), (old, "a client with TLS 1.2")):
        context.check_hostname = stand.place.named
        context.load_verify_locations(stand.place.ca)
        if _greeted(stand, context):
            raise Red(f"{who} is let in", "require_certificate true, tls_version tlsv1.3")
    return "no certificate, or an old TLS: refused before the first word"


CHECKS = (
    Named("foreign-topic", 0, foreign_topic),
    Named("shared-subscription", 1, shared_subscription),
    Named("take-over", 2, take_over),
    Named("live-session", 3, live_session),
    Named("revoked", 0, revoked),
    Named("list-life", 5, list_life),
    Named("deleted-client", 6, deleted_client),
    Named("worker-death", 7, worker_death),
    Named("queue-head", 10, queue_head),
    Named("queue-depth", 11, queue_depth),
    Named("oversized", 0, oversized),
    Named("refusal", 13, refusal),
)


def _queued(stand: Stand, count: int, remedy: str) -> str:
    stand.leave_session()
    stand.tell_one(count)
    with Link(stand.place, stand.one, keep=True) as link:
        heard = stand.numbers(link, count)
    stand.end_session()
    if heard != list(range(count)):
        raise Red(
            f"of {count} messages for a kit that was away, {len(heard)} came, in this order or not", remedy
        )
    return f"{count} messages for a kit that was away came, in order"


def _greeted(stand: Stand, context: ssl.SSLContext) -> bool:
    """Whether the broker answers a CONNECT of MQTT 5 on this kind of connection."""
    host = stand.place.host
    with socket.create_connection((host, stand.place.port), DROP_S) as raw:
        try:
            with context.wrap_socket(raw, server_hostname=host) as secured:
                secured.sendall(b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x04kit1")
                return secured.recv(64)[:1] == b"\x20"
        except (ssl.SSLError, ConnectionError):
            return False
