"""Fault scripts: what they mean, and that a wrong one is refused with its place."""

from pathlib import Path

import pytest

from device.emulators.faults import BadScript, Fault, Faults, Hangup, Pause, Silence, load, parse

PACKET = b"0123456789"


def line(*faults: Fault, packets: int = 1) -> list[object]:
    spoiler = Faults(faults)
    return [piece for _ in range(packets) for piece in spoiler.spoil(PACKET) if piece != b""]


def test_without_faults_bytes_pass() -> None:
    assert line(packets=2) == [PACKET, PACKET]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(3, "drop"), [b"012456789"]),
        (Fault(3, "drop", count=3), [b"0126789"]),
        (Fault(0, "insert", count=2), [b"UU0123456789"]),
        (Fault(9, "flip"), [b"012345678\x29"]),
        (Fault(0, "drop", every=5), [b"12346789"]),
        (Fault(4, "slow", seconds=0.5), [b"0123", Pause(0.5), b"456789"]),
        (Fault(4, "hangup", seconds=2), [b"0123", Hangup(2), b"456789"]),
        (Fault(4, "silence"), [b"0123", Silence(0), b"456789"]),
        (Fault(0, "drop", unit="packet"), []),
        (Fault(0, "insert", unit="packet"), [b"U0123456789"]),
        (Fault(0, "flip", unit="packet"), [bytes(b ^ 0x10 for b in PACKET)]),
    ],
)
def test_what_each_fault_does(fault: Fault, expected: list[object]) -> None:
    assert line(fault) == expected


def test_places_count_over_packets() -> None:
    assert line(Fault(12, "drop"), packets=2) == [PACKET, b"013456789"]
    assert line(Fault(1, "drop", unit="packet"), packets=3) == [PACKET, PACKET]
    assert line(Fault(0, "drop", unit="packet", every=2), packets=4) == [PACKET, PACKET]


def test_a_new_script_counts_from_the_beginning() -> None:
    faults = Faults(())
    list(faults.spoil(PACKET))
    faults.arm((Fault(0, "drop"),))
    assert b"".join(p for p in faults.spoil(PACKET) if isinstance(p, bytes)) == b"123456789"


@pytest.mark.parametrize(
    "script",
    [
        {},
        [1],
        [{"do": "drop"}],
        [{"at": 1, "do": "explode"}],
        [{"at": -1, "do": "drop"}],
        [{"at": 1, "do": "drop", "unit": "bit"}],
        [{"at": "1", "do": "drop"}],
        [{"at": True, "do": "drop"}],
        [{"at": 1, "do": "drop", "how": "often"}],
    ],
)
def test_a_wrong_script_is_refused(script: object) -> None:
    with pytest.raises(BadScript):
        parse(script)


def test_a_file_that_is_no_script_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text("[")
    for path in (tmp_path / "faults.json", tmp_path / "none.json"):
        with pytest.raises(BadScript):
            load(path)
