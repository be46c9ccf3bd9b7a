"""What a kit may ask over HTTPS (docs/protocol.md 6). Who it is follows from its certificate alone.

The listener takes no connection without a certificate that leads to the kits' CA and is not on the revocation
list; here its role, its name and the kit's standing with the fleet are checked at every call.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated

import msgspec
import structlog
from cryptography import x509
from flask import Blueprint, Flask, Response, abort, g, jsonify, request
from flask.typing import ResponseReturnValue
from msgspec import Meta
from werkzeug.exceptions import HTTPException

from protocol.chain import load_certificate
from protocol.identity import BadIdentity, Role, role_of
from protocol.ids import is_key_id, is_sha256
from protocol.instant import write_instant
from protocol.messages import Sha256, Ulid
from server.db.engine import Database
from server.db.scope import EVERYONE
from server.fleet import custody, inbox, kits, leases, lists, renewals, uploads
from server.fleet.leases import Lender
from server.fleet.refused import Refused
from server.fleet.uploads import Dock, OutOfStep
from server.settings import Service
from server.web import bodies
from server.web.berths import Berths
from server.web.renewal_door import RENEWALS

LONGEST_BODY = 16 * 1024
SERVICES = "service_door"  # the other blueprint on this listener
log = structlog.get_logger()


class Begin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=1)]
    sha256: Sha256


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    request: Annotated[str, Meta(max_length=12_000)]


class Fetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bag: Annotated[int, Meta(ge=0, le=10**15)]
    request: Annotated[str, Meta(max_length=12_000)]


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    receipts: Annotated[tuple[Ulid, ...], Meta(max_length=500)]


def mount(
    app: Flask,
    database: Database,
    dock: Dock,
    lender: Lender,
    services: Mapping[str, Service],
    clock: Callable[[], datetime],
) -> None:
    """Register the calls on `app`. `services`: whose recipient lists are handed on."""
    berths = Berths()
    blueprint = Blueprint("kit_door", __name__, url_prefix="/kit/v1")

    @app.before_request
    def who() -> ResponseReturnValue | None:
        if request.blueprint == SERVICES:
            return None  # has its own guard
        found, now = shown(request.environ.get("gunicorn.socket")), clock()
        if found is None or now < found[1].not_valid_before_utc:
            abort(403)
        kit_id, g.certificate = found
        with database.reading(EVERYONE) as db:
            g.kit = kits.active(db, kit_id)
        if g.kit is None:
            log.warning("unknown or retired kit", kit=kit_id)
            abort(403)
        if now > found[1].not_valid_after_utc and request.blueprint != RENEWALS:
            # It needs no clock of its own to know what to do, but it learns the time.
            return {"error": "certificate-expired", "now": write_instant(now)}, 403
        return None

    @blueprint.route("/uploads", methods=["HEAD"])
    def nudged() -> ResponseReturnValue:
        """Asked for nothing: behind the last piece of an upload, and to keep a connection ready."""
        return Response(status=204)

    @blueprint.post("/uploads/<packet_id>")
    def begin(packet_id: str) -> ResponseReturnValue:
        wish = bodies.read(Begin, LONGEST_BODY)
        berths.clear(packet_id, _socket())
        standing = uploads.begin(database, dock, g.kit.kit_id, packet_id, wish.size, wish.sha256, clock())
        if standing.state == "open":
            berths.moor(packet_id, _socket(), standing.generation)
        else:
            berths.leave(packet_id)
        return {
            "offset": standing.offset,
            "generation": standing.generation,
            "state": standing.state,
        }

    @blueprint.patch("/uploads/<packet_id>")
    def write(packet_id: str) -> ResponseReturnValue:
        offset = _number("Upload-Offset")
        if (request.content_length or 0) > uploads.LONGEST_PATCH:
            abort(413)
        generation = berths.begun(packet_id, _socket()) if _is_begun() else _number("Upload-Generation")
        writer = uploads.Writer(database, dock, g.kit.kit_id, packet_id, generation, clock)
        standing = berths.land(packet_id, request.environ, offset, writer)
        if standing is None:
            abort(
                400
            )  # the connection broke: what came of it lies on the disk, and the next POST says how much
        response = Response(status=204, headers={"Upload-Offset": str(standing.offset)})
        if standing.state == "complete":
            response.headers["Upload-State"] = "complete"
            berths.leave(packet_id)
            log.info("packet committed", packet=packet_id, kit=g.kit.kit_id)
        return response

    @blueprint.get("/inbox")
    def look() -> ResponseReturnValue:
        held = request.args.get("bag", "0")
        if not (held.isascii() and held.isdigit() and len(held) <= 16):
            abort(400)
        return fetched(int(held))

    @blueprint.post("/inbox")
    def look_and_ask() -> ResponseReturnValue:
        """The planning and the lease in one answer. A lease that is refused keeps nothing else back."""
        wish = bodies.read(Fetch, LONGEST_BODY)
        try:
            lease = granted(wish.request)
        except Refused as problem:
            log.warning("no lease", kit=g.kit.kit_id, code=problem.code)
            lease = None
        return {**fetched(wish.bag), "lease": lease}

    def fetched(held: int) -> dict[str, object]:
        now = clock()
        with database.reading(EVERYONE) as db:
            waiting = inbox.waiting(db, dock.blobs, g.kit, held)
            places = custody.whereabouts(db, g.kit.kit_id, now)
            news = renewals.is_news(db, g.certificate)
        if news:
            with database.writing(EVERYONE) as db:
                renewals.seen(db, g.certificate)
        bag = None
        if waiting.bag is not None:
            version, sealed = waiting.bag
            bag = {"version": version, "sealed": base64.b64encode(sealed).decode()}
        where = {packet: {"step": step, "at": write_instant(at)} for packet, (step, at) in places.items()}
        return {"bag": bag, "receipts": list(waiting.receipts), "where": where, "now": write_instant(now)}

    @blueprint.get("/recipients")
    def recipients() -> ResponseReturnValue:
        """The newest recipient list of the service that this kit seals to."""
        kid, held = request.args.get("key", ""), request.args.get("held", "")
        if not is_key_id(kid) or not (held == "" or is_sha256(held)):
            abort(400)
        token = lists.for_kit(services, kid, held, clock())
        return Response(status=204) if token is None else {"recipients": token}

    @blueprint.post("/inbox/done")
    def done() -> ResponseReturnValue:
        wish = bodies.read(Done, LONGEST_BODY)
        with database.writing(EVERYONE) as db:
            inbox.confirm(db, g.kit.kit_id, list(wish.receipts), clock())
        return Response(status=204)

    @blueprint.post("/lease")
    def lend() -> ResponseReturnValue:
        return {"lease": granted(bodies.read(Ask, LONGEST_BODY).request)}

    def granted(token: str) -> str:
        """In base64. Refused as `leases.grant`."""
        with database.writing(EVERYONE) as db:
            kit = kits.active(db, g.kit.kit_id)
            if kit is None:
                abort(403)
            sealed = leases.grant(db, lender, kit, token, clock())
        return base64.b64encode(sealed).decode()

    @app.errorhandler(Refused)
    def refuse(problem: Refused) -> ResponseReturnValue:
        log.warning("kit refused", kit=g.kit.kit_id, code=problem.code)
        return {"error": problem.code}, 422

    @app.errorhandler(OutOfStep)
    def resume(problem: OutOfStep) -> ResponseReturnValue:
        answer = {"error": problem.code, "offset": problem.offset, "generation": problem.generation}
        return answer, 409

    @app.errorhandler(HTTPException)
    def fail(problem: HTTPException) -> ResponseReturnValue:
        return jsonify({"error": f"http-{problem.code}"}), problem.code or 500

    app.register_blueprint(blueprint)


def peer(socket: object, wanted: Role, now: datetime) -> str | None:
    """Whose certificate, of the role `wanted` and of this time, is at the other end of a TLS socket."""
    found = shown(socket, wanted)
    if found is None or not found[1].not_valid_before_utc <= now <= found[1].not_valid_after_utc:
        return None
    return found[0]


def shown(socket: object, wanted: Role = Role.KIT_TLS) -> tuple[str, x509.Certificate] | None:
    """Name and certificate, of the role `wanted`, at the other end of a TLS socket; None when there is none.

    The listener does not look at its time: a kit that comes out of a drawer may still ask to be renewed."""
    certificate_of = getattr(socket, "getpeercert", None)
    der = certificate_of(binary_form=True) if certificate_of else None
    if not der:
        return None
    try:
        certificate = load_certificate(der)
        role, name = role_of(certificate)
    except (BadIdentity, ValueError):
        return None
    return (name, certificate) if role is wanted else None


def _socket() -> object:
    return request.environ.get("gunicorn.socket")


def _is_begun() -> bool:
    return request.headers.get("Upload-Generation") == "begun"


def _number(header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        abort(400)
    return int(text)
