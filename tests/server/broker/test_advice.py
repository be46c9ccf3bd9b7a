"""What `broker check` says of a configuration that is safe and slow, with the line that is better."""

from pathlib import Path

import pytest

from server.broker.checks.advice import advice
from server.broker.configuration import Configuration


@pytest.mark.parametrize(
    ("lines", "now"),
    [
        ((), [""]),
        ((("max_inflight_messages", "500"),), ["max_inflight_messages 500"]),
        ((("max_inflight_messages", "4000"),), []),
        ((("max_inflight_messages", "0"),), []),  # without a limit
        ((("max_inflight_messages", "500"), ("max_inflight_messages", "8000")), []),  # the last one counts
    ],
)
def test_too_few_messages_on_the_way_are_named_with_what_to_write(
    lines: tuple[tuple[str, str], ...], now: list[str]
) -> None:
    found = advice(Configuration(Path("mosquitto.conf"), lines))
    assert [each.now for each in found] == now
    assert {each.line for each in found} <= {"max_inflight_messages 4000"}
