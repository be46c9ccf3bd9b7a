"""What the agent is told of the link when its two ways say different things."""

from pathlib import Path

import pytest

from device.spool.hatch import Hatch
from device.spool.spool import Spool
from device.uplink.standing import Standing


@pytest.mark.parametrize(
    ("mqtt", "https", "told"),
    [
        ("", "", ""),
        ("", "portal", "portal"),  # only what is sealed is caught
        ("timed-out", "portal", "portal"),  # both are, and one of them says by what
        ("link-lost", "certificate-refused", "certificate-refused"),
        ("refused", "timed-out", "refused"),
        ("no-network", "", "no-network"),
        ("", "timed-out", "timed-out"),
    ],
)
def test_what_says_why_comes_before_what_only_says_that_nobody_answers(
    tmp_path: Path, mqtt: str, https: str, told: str
) -> None:
    spool, hatch = Spool(tmp_path), Hatch(tmp_path)
    try:
        standing = Standing(hatch)
        standing.mqtt(online=not mqtt, problem=mqtt)
        standing.https(https)
        assert (spool.link().online, spool.link().problem) == (not mqtt, told)
    finally:
        hatch.close()
