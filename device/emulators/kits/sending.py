"""Uploading as docs/protocol.md 6 has it: POST for the standing, PATCH from there, until it is complete."""

import hashlib
import http.client
import json
import ssl
import threading
from pathlib import Path

PIECE = 128 * 1024
PATIENCE_S = 60.0


class Refused(Exception):
    """The fleet refused the application for good: its code."""


class Stopped(Exception):
    """Told to stop before the fleet had all of it."""


def upload(
    host: str, port: int, context: ssl.SSLContext, packet_id: str, path: Path, stop: threading.Event
) -> int:
    """Blocks until the fleet has all of it; how many times it had to begin anew. Refused, Stopped."""
    data, again = path.read_bytes(), 0
    wish = json.dumps({"size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    while not stop.is_set():
        connection = http.client.HTTPSConnection(host, port, context=context, timeout=PATIENCE_S)
        try:
            if _send(connection, f"/kit/v1/uploads/{packet_id}", wish, data):
                return again
        except (OSError, http.client.HTTPException):
            stop.wait(0.5)
        finally:
            connection.close()
        again += 1
    raise Stopped(packet_id)


def _send(connection: http.client.HTTPSConnection, path: str, wish: str, data: bytes) -> bool:
    """False when the fleet knows better where we are."""
    status, standing = _call(connection, "POST", path, wish.encode(), {"Content-Type": "application/json"})
    if status != 200:
        return False
    at = int(str(standing["offset"]))
    while standing["state"] == "open" and at < len(data):
        headers = {"Upload-Offset": str(at), "Upload-Generation": str(standing["generation"])}
        status, _ = _call(connection, "PATCH", path, data[at : at + PIECE], headers)
        if status != 204:
            return False
        at += len(data[at : at + PIECE])
    return True


def _call(
    connection: http.client.HTTPSConnection, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, object]]:
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    data = response.read()
    answer = json.loads(data) if data else {}
    if response.status == 422:
        raise Refused(str(answer.get("error", "")))
    return response.status, answer
