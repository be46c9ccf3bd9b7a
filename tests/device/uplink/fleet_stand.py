"""A small fleet for the uplink's tests: docs/protocol.md 6 over real mutual TLS, and a worker on the broker.

Written from the protocol, not from our server, so that two readings of it check each other. It can be told to
misbehave: `faults` are asked about every call and may answer it themselves.
"""

import base64
import hashlib
import http.server
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from protocol.messages import MAX_BYTES, unsqueeze
from tests.mosquitto import Client, Heard
from tests.pki import Files, Pki

MOST = 131_072


@dataclass
class Upload:
    size: int
    sha256: str
    generation: int = 0
    data: bytearray = field(default_factory=bytearray)
    state: str = "open"


@dataclass
class Call:
    method: str
    path: str
    offset: int | None
    generation: int | None
    length: int
    connection: int  # the kit's port


Fault = Callable[["Handler", Call], bool]
"""May answer, cut or delay; True when it has dealt with the call."""


class FleetStand:
    """State outlives `stop` and `start`, like a server with a disk."""

    def __init__(self, port: int, clients: Path, files: Files) -> None:
        self.port, self._clients, self._files = port, clients, files
        self.uploads: dict[str, Upload] = {}
        self.refuse: dict[str, str] = {}  # packet -> code of the 422 at its end
        self.calls: list[Call] = []
        self.nudges = 0
        self.connections: list[int] = []  # the kit's port of each nudge
        self.open: set[int] = set()  # ports of connections that are there
        self.faults: list[Fault] = []
        self.bag: tuple[int, bytes] | None = None
        self.receipts: dict[str, str] = {}
        self.done: list[str] = []
        self.registrar: Registrar | None = None
        self.list: str | None = None  # a recipient list
        self.shown: list[tuple[str, str]] = []  # path and serial of the certificate, of every call
        self.lock = threading.Lock()
        self._server: Server | None = None

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME
        context.load_verify_locations(self._clients)
        context.load_cert_chain(self._files.certificate, self._files.key)
        self._server = Server(self, context)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_all()
            self._server = None

    def complete(self, packet_id: str, data: bytes) -> bool:
        upload = self.uploads.get(packet_id)
        return upload is not None and upload.state == "complete" and bytes(upload.data) == data

    def patches(self) -> list[Call]:
        return [call for call in self.calls if call.method == "PATCH"]


class Registrar:
    """Section 14 of the protocol, with an authority behind it. `pending`: so many calls get no answer yet."""

    def __init__(self, pki: Pki, pending: int = 0) -> None:
        self._pki, self.pending = pki, pending
        self._given: dict[bytes, str] = {}  # by public key
        self.requests: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.refuse = ""

    def hear(self, call: Call, body: dict[str, Any]) -> tuple[int, Any]:
        if call.method == "GET":
            return 204, None
        if call.path.endswith("/done"):
            self.told.append(payload_of(body["done"]))
            return 204, None
        if self.refuse:
            return 422, {"error": self.refuse}
        asked = payload_of(body["request"])
        self.requests.append(asked)
        csr = x509.load_der_x509_csr(base64.b64decode(asked["csr"]))
        assert csr.is_signature_valid
        if self.pending > 0:
            self.pending -= 1
            return 202, {"state": "pending"}
        key = csr.public_key()
        known = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        if known not in self._given:
            certified = self._pki.authority.certify(asked["role"], asked["kit_id"], key)
            self._given[known] = certified.chain_pem.decode()
        roots = self._pki.authority.bundle("root").decode()
        return 200, {"state": "issued", "chain": self._given[known], "authorities": roots}


def payload_of(token: str) -> dict[str, Any]:
    """What a compact JWS says; its signature is the fleet's to judge."""
    middle = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return read


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, stand: FleetStand, context: ssl.SSLContext) -> None:
        self.stand, self.context = stand, context
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", stand.port), Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(20)
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                self._open.add(secured)
                self.stand.open.add(client_address[1])
                try:
                    super().finish_request(secured, client_address)
                finally:
                    self._open.discard(secured)
                    self.stand.open.discard(client_address[1])
        except OSError:
            return  # cut by the test, or refused by TLS

    def cut_all(self) -> None:
        for connection in list(self._open):
            reset(connection)


def reset(connection: socket.socket) -> None:
    """End a connection as a lost radio link with a rebound NAT does: RST, no goodbye."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.begun: dict[str, int] = {}

    def log_message(self, *_: Any) -> None:
        return

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def do_HEAD(self) -> None:
        assert self.path == "/kit/v1/uploads"
        self.server.stand.nudges += 1
        self.server.stand.connections.append(self.client_address[1])
        self.answer(204)

    def _handle(self) -> None:
        stand = self.server.stand
        subject = dict(part[0] for part in self.connection.getpeercert()["subject"])
        assert subject["organizationalUnitName"] == "kit-tls"
        number = {name: self.headers.get(f"Upload-{name}") for name in ("Offset", "Generation")}
        if number["Generation"] == "begun":  # by the POST before it on this connection
            number["Generation"] = str(self.begun.get(self.path.rsplit("/", 1)[1], 0))
        call = Call(
            self.command,
            self.path,
            *(int(text) if text is not None else None for text in number.values()),
            int(self.headers.get("Content-Length", 0)),
            self.client_address[1],
        )
        stand.calls.append(call)
        stand.shown.append((self.path, self.connection.getpeercert()["serialNumber"].lower().lstrip("0")))
        if any(fault(self, call) for fault in list(stand.faults)):
            return
        if self.path.startswith("/kit/v1/inbox"):
            self._inbox(call)
        elif self.path.startswith("/kit/v1/recipients"):
            held = self.path.partition("&held=")[2]
            is_new = stand.list is not None and hashlib.sha256(stand.list.encode()).hexdigest() != held
            self.answer(*((200, {"recipients": stand.list}) if is_new else (204, None)))
        elif self.path.startswith("/kit/v1/renew") and stand.registrar is not None:
            body = json.loads(self.body(call.length)) if call.length else {}
            self.answer(*stand.registrar.hear(call, body))
        elif call.method == "POST":
            self._begin(call)
        else:
            self._piece(call)

    def answer(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.raw(status, data, "application/json", headers)

    def raw(
        self, status: int, data: bytes, kind: str = "text/html", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def cut(self) -> None:
        reset(self.connection)
        self.close_connection = True

    def body(self, length: int) -> bytes:
        return self.rfile.read(length)

    def _begin(self, call: Call) -> None:
        packet_id = self.path.rsplit("/", 1)[1]
        wish = json.loads(self.body(call.length))
        with self.server.stand.lock:
            upload = self.server.stand.uploads.setdefault(packet_id, Upload(wish["size"], wish["sha256"]))
            assert (upload.size, upload.sha256) == (wish["size"], wish["sha256"])
            upload.generation += 1
            self.begun[packet_id] = upload.generation
            answer = {"offset": len(upload.data), "generation": upload.generation, "state": upload.state}
        self.answer(200, answer)

    def _piece(self, call: Call) -> None:
        stand, packet_id = self.server.stand, self.path.rsplit("/", 1)[1]
        assert 0 < call.length <= MOST
        piece = self.body(call.length)
        with stand.lock:
            upload = stand.uploads[packet_id]
            wrong = "generation" if call.generation != upload.generation else "offset"
            if call.generation != upload.generation or call.offset != len(upload.data):
                state = {"error": wrong, "offset": len(upload.data), "generation": upload.generation}
                self.answer(409, state)
                return
            upload.data += piece
            headers = {"Upload-Offset": str(len(upload.data))}
            if len(upload.data) == upload.size:
                assert hashlib.sha256(upload.data).hexdigest() == upload.sha256
                if packet_id in stand.refuse:
                    upload.data.clear()
                    self.answer(422, {"error": stand.refuse[packet_id]})
                    return
                upload.state = headers["Upload-State"] = "complete"
        self.answer(204, headers=headers)

    def _inbox(self, call: Call) -> None:
        stand = self.server.stand
        if call.method == "POST":
            for packet_id in json.loads(self.body(call.length))["receipts"]:
                stand.done.append(packet_id)
                stand.receipts.pop(packet_id, None)
            self.answer(204)
            return
        held = int(self.path.partition("?bag=")[2])
        bag = None
        if stand.bag is not None and stand.bag[0] != held:
            bag = {"version": stand.bag[0], "sealed": base64.b64encode(stand.bag[1]).decode()}
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.answer(200, {"bag": bag, "receipts": list(stand.receipts.values()), "now": now})


class Worker:
    """The fleet's ingest: takes events in once by id, and gives receipts, unless told not to."""

    def __init__(self, port: int, roots: Path, files: Files) -> None:
        self._client = Client(port, roots, files, "fleet-ingest-1")
        self.committed: dict[str, dict[str, Any]] = {}
        self.times_heard: dict[str, int] = {}
        self.past: list[dict[str, Any]] = []  # health reports that came in batches
        self.batches: list[list[str]] = []  # the ids in each
        self.give_receipts = True
        self.is_older = False  # knows no batches, and drops them
        self._client.client.on_message = self._take
        self._client.listen("tl/v1/kit/+/state/+", "tl/v1/kit/+/up/evt/+")

    def close(self) -> None:
        self._client.close()

    def states(self, name: str) -> list[dict[str, Any]]:
        """Envelopes heard on `state/<name>`, oldest first."""
        heard = [h for h in self._client.heard if h.topic.endswith(f"/state/{name}")]
        return [json.loads(unsqueeze(bytes(h.payload), MAX_BYTES)) for h in heard]

    def presences(self) -> list[tuple[str, int]]:
        return [(state["body"]["s"], state["ses"]) for state in self.states("presence")]

    def say(self, topic: str, body: dict[str, Any], kit: str = "", retain: bool = False) -> None:
        envelope = {
            "v": 1,
            "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "kit": kit,
            "ses": 0,
            "seq": 0,
            "ts": "2026-11-23T09:00:00Z",
            "ts_src": "ntp",
            "body": body,
        }
        self._client.client.publish(topic, json.dumps(envelope), qos=1, retain=retain)

    def ring(self, kit: str) -> None:
        self.say(f"tl/v1/kit/{kit}/down/job", {"kind": "doorbell", "job": "inbox"}, kit)

    def _take(self, _client: Any, _userdata: Any, message: Any) -> None:
        self._client.heard.append(Heard(message.topic, message.payload, message.retain))
        if "/up/evt/" not in message.topic:
            return
        envelope = json.loads(unsqueeze(bytes(message.payload), MAX_BYTES))
        kit, reports = envelope["kit"], [envelope]
        if message.topic.endswith("/batch"):
            reports = [{**envelope, **report} for report in envelope["body"]["reports"]]
            self.batches.append([report["id"] for report in reports])
            if self.is_older:
                return
        self.past += [report for report in reports if report["body"]["kind"] == "health"]
        reports = [report for report in reports if report["body"]["kind"] != "health"]
        for report in reports:
            self.committed.setdefault(report["id"], report)
            self.times_heard[report["id"]] = self.times_heard.get(report["id"], 0) + 1
        if self.give_receipts and reports:
            ids = [report["id"] for report in reports]
            self.say(f"tl/v1/kit/{kit}/down/rcpt", {"kind": "receipts", "ids": ids}, kit)
