"""A short run of the fuzz; the long one is `python -m tests.device.drivers.eid.fuzz --runs 1000000`."""

from pathlib import Path

import pytest

from tests.device.drivers.eid.fuzz import fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_no_bytes_of_a_card_bring_a_reader_of_bytes_down(tmp_path: Path, seed: int) -> None:
    result = fuzz(4_000, seed, tmp_path)
    assert set(result["counts"]) == {  # type: ignore[call-overload]
        *("tlv", "identity", "address", "apdu", "jpeg", "der", "certificate", "register", "card")
    }
