"""A competent service that packets are pushed to, over HTTPS with mutual TLS and an idempotency key.

`POST {url}/v1/applications` with `Idempotency-Key: <packet id>` answers 200 `{"receipt": jws}` or 202; then
`GET {url}/v1/applications/{packet_id}` answers the same, or 404 when the service does not know the packet.
"""

import ssl
from datetime import datetime

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from server.fleet.forwarding.answers import Answer, Declined, Failed, Later, Receipted, Unknown
from server.fleet.forwarding.receiptkeys import receipt_keys
from server.settings import Service as ServiceSettings

LONGEST_ANSWER = 64 * 1024
LONGEST_PAUSE_S = 300.0
PATIENCE = httpx.Timeout(20.0, connect=5.0)
_PASSING = frozenset({408, 409, 425, 429})  # of the 4xx: try again later


class _Body(msgspec.Struct, frozen=True):
    receipt: str


class Push:
    """A `Connector`; connections are kept open between packets."""

    def __init__(self, settings: ServiceSettings) -> None:
        context = ssl.create_default_context(cafile=str(settings.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if settings.certificate is not None and settings.key is not None:
            context.load_cert_chain(settings.certificate, settings.key)
        self._settings = settings
        self._url = settings.url.rstrip("/") + "/v1/applications"
        self._client = httpx.Client(verify=context, timeout=PATIENCE, trust_env=False)

    def offer(self, packet_id: str, packet: bytes) -> Answer:
        headers = {"Idempotency-Key": packet_id, "Content-Type": "application/octet-stream"}
        return self._ask(self._client.build_request("POST", self._url, content=packet, headers=headers))

    def ask(self, packet_id: str) -> Answer:
        return self._ask(self._client.build_request("GET", f"{self._url}/{packet_id}"))

    def receipt_keys(self, now: datetime) -> dict[str, ec.EllipticCurvePublicKey]:
        return receipt_keys(self._settings.recipients, self._settings.list_key, now)

    def close(self) -> None:
        self._client.close()

    def _ask(self, request: httpx.Request) -> Answer:
        try:
            response = self._client.send(request, stream=True)
            try:
                body = _bounded(response)
            finally:
                response.close()
        except httpx.TimeoutException:
            return Failed("service-slow")
        except httpx.TransportError as problem:
            return Failed("service-certificate" if _is_of_tls(problem) else "service-unreachable")
        return _read(response, body)


def _is_of_tls(problem: BaseException) -> bool:
    """Whether a certificate was not accepted, by us or by the service; the library wraps what it heard."""
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, ssl.SSLError) and not isinstance(seen, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _read(response: httpx.Response, body: bytes | None) -> Answer:
    status = response.status_code
    if status == httpx.codes.OK and body is not None:
        try:
            return Receipted(msgspec.json.decode(body, type=_Body).receipt)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Failed("answer-malformed")
    if status == httpx.codes.OK:
        return Failed("answer-too-long")
    if status == httpx.codes.ACCEPTED:
        return Later(_pause(response))
    if status == httpx.codes.NOT_FOUND:
        return Unknown()
    if status in _PASSING or not 400 <= status < 500:
        return Failed(f"service-{status}")
    return Declined(f"service-{status}")


def _bounded(response: httpx.Response) -> bytes | None:
    """The body, None when it is longer than an answer may be."""
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > LONGEST_ANSWER:
            return None
    return body


def _pause(response: httpx.Response) -> float | None:
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), LONGEST_PAUSE_S) if asked.isascii() and asked.isdigit() else None
