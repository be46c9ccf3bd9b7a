"""Mutants that change nothing anybody could see, each with the reason; they count for nothing."""

from collections.abc import Mapping

_SIZE_READ = "how much is read at a time; what is read is the same"
_TWO_GIGABYTES = "a member of a gigabyte and more, where a whole packet has 32 MB at most"
_OTHER_ERROR = "an error without a code: neither 0 nor this is a full disk or a damaged vault"

EQUIVALENT: Mapping[str, str] = {
    **{
        f"protocol/sealed/outer.py:_PIECE: {what}": _SIZE_READ
        for what in (
            "one more: 256",
            "one less: 256",
            "one more: 1024",
            "one less: 1024",
        )
    },
    "device/vault/database.py:_translated: one more: 0": _OTHER_ERROR,
    "device/vault/database.py:_translated: one less: 0": _OTHER_ERROR,
    "device/agent/reckoning.py:advance: comparison: wall <= walked": "both ways end at the same instant",
    "device/vault/recovery.py:is_offered: one less: 0": "the last of one column is the first",
    "protocol/sealed/archive.py:_LARGEST: one less: 8": _TWO_GIGABYTES,
    "protocol/sealed/archive.py:_LARGEST: one less: 11": _TWO_GIGABYTES,
}
