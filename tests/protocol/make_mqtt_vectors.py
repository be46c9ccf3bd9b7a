"""Writes the literal MQTT vectors anew; run by hand, `python -m tests.protocol.make_mqtt_vectors`, when the
protocol changes, and look at the difference."""

import json
from datetime import timedelta

import msgspec
from cryptography.hazmat.primitives import serialization

from protocol.command import sign_command
from protocol.instant import write_instant
from protocol.messages import ApplicationEvent, VisitEvent, encode
from protocol.topics import Tail
from tests.protocol.test_command import KEY, NOW, VECTORS, command, forged
from tests.protocol.test_messages import envelope, topic

VISIT, PACKET = "01ARZ3NDEKTSV4RRFFQ69G5FB0", "01ARZ3NDEKTSV4RRFFQ69G5FB1"


def main() -> None:
    VECTORS.mkdir(parents=True, exist_ok=True)
    messages = [
        {"topic": topic(tail), "payload": encode(topic(tail), envelope(tail)).decode()} for tail in Tail
    ]
    later = (VisitEvent(VISIT, "sealed", "", 3), ApplicationEvent(PACKET, VISIT, "sealed", "a" * 64, 3))
    for tail, body in zip((Tail.VISIT, Tail.APPLICATION), later, strict=True):  # of the third assignment
        data = encode(topic(tail), msgspec.structs.replace(envelope(tail), body=body))
        messages.append({"topic": topic(tail), "payload": data.decode()})
    (VECTORS / "messages.json").write_text(json.dumps(messages, indent=1) + "\n")
    good = sign_command(command(), KEY, "command-1")
    head, body, signature = good.split(".")
    at, late = write_instant(NOW), write_instant(NOW + timedelta(hours=2))
    shell = forged(
        "command",
        {"v": 1, "kit_id": "kit-a", "job": command().job, "counter": 5, "action": "shell",
         "issued": at, "not_after": late},
    )  # fmt: skip
    cases = [
        ("good", good, 4, at, ""),
        ("again", good, 5, at, "replayed"),
        ("late", good, 4, late, "expired"),
        ("for another kit", sign_command(command(kit_id="kit-b"), KEY, "command-1"), 4, at, "other-kit"),
        ("a shell", shell, 4, at, "unknown-action"),
        (
            "one bit",
            f"{head}.{body}.{'A' if signature[9] != 'A' else 'B'}".ljust(len(good), "A"),
            4,
            at,
            "signature",
        ),
    ]
    key = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    commands = [
        {"name": name, "token": token, "last": last, "now": now, "code": code}
        for name, token, last, now, code in cases
    ]
    whole = {"kid": "command-1", "key": key.decode(), "commands": commands}
    (VECTORS / "commands.json").write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
