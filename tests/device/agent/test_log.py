"""Logs keep ids, codes and numbers, and lose everything else."""

import io
import json
import logging

import pytest
import structlog

from device.agent import log


@pytest.fixture
def heard() -> io.StringIO:
    out = io.StringIO()
    log.configure(out)
    return out


def lines(heard: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in heard.getvalue().splitlines()]


def test_a_line_is_json_with_ids_and_codes(heard: io.StringIO) -> None:
    structlog.get_logger().info("card-refused", visit="01KA0000000000000000000001", code="not-genuine", ms=12)
    (line,) = lines(heard)
    assert line.pop("timestamp")
    assert line == {
        "event": "card-refused",
        "level": "info",
        "visit": "01KA0000000000000000000001",
        "code": "not-genuine",
        "ms": 12,
    }


def test_what_is_not_listed_is_withheld_whatever_it_holds(heard: io.StringIO) -> None:
    structlog.get_logger().info("x", name="Roos", detail=["Roos"], place={"street": "Kanariestraat"})
    (line,) = lines(heard)
    assert (line["name"], line["detail"], line["place"]) == (log.WITHHELD,) * 3


@pytest.mark.parametrize("text", ["79041523148", "79.04.15-231.48", "about 790415 231 48 again"])
def test_what_looks_like_a_national_number_is_withheld_everywhere(heard: io.StringIO, text: str) -> None:
    structlog.get_logger().warning(text, detail=text)
    assert "231" not in heard.getvalue()
    assert heard.getvalue().count(log.WITHHELD) == 2


def test_a_long_text_is_cut(heard: io.StringIO) -> None:
    structlog.get_logger().info("x", detail="a" * 5000)
    assert len(heard.getvalue()) < 600


def test_a_library_keeps_its_template_and_loses_what_was_filled_in(heard: io.StringIO) -> None:
    try:
        raise ValueError("Roos Vandekanarie")
    except ValueError:
        logging.getLogger("waitress").exception("request of %s failed", "Roos")
    (line,) = lines(heard)
    assert line["event"] == "request of %s failed"
    assert line["logger"] == "waitress"
    assert "Roos" not in heard.getvalue()
