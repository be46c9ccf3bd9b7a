"""Who calls the listener with a certificate, without a socket: a kit, or a service that fetches."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


@dataclass(frozen=True)
class PeerSocket:
    """As gunicorn hands over: the TLS socket that knows its peer's certificate."""

    der: bytes | None

    def getpeercert(self, binary_form: bool = False) -> bytes | None:
        assert binary_form
        return self.der


class Kit:
    """Calls with a certificate of the ground."""

    def __init__(self, client: FlaskClient, der: bytes | None) -> None:
        self.client, self.environ = client, {"gunicorn.socket": PeerSocket(der)}

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        return self.client.open(path, method=method, environ_overrides=self.environ, **options)

    def begin(self, packet_id: str, data: bytes) -> TestResponse:
        wish = {"size": len(data), "sha256": sha256(data).hexdigest()}
        return self.call("POST", f"/kit/v1/uploads/{packet_id}", json=wish)

    def patch(self, packet_id: str, data: bytes, offset: object, generation: object) -> TestResponse:
        headers = {"Upload-Offset": str(offset), "Upload-Generation": str(generation)}
        return self.call("PATCH", f"/kit/v1/uploads/{packet_id}", data=data, headers=headers)
