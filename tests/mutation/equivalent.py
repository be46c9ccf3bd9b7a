"""Mutants that change nothing anybody could see, each with the reason; they count for nothing."""

from collections.abc import Mapping

_SIZE_READ = "how much is read at a time; what is read is the same"
_TWO_GIGABYTES = "a member of a gigabyte and more, where a whole packet has 32 MB at most"
_NO_WAIT = "what is left of a wait is at least nothing wherever it is read or counted down"
_IS_A_FOLDER = "the parent of a file that was just made in it is a folder"
_WHO_WRITES = "which thread writes; the bytes are the same"
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
    "device/vault/database.py:_Translated.__exit__: one more: 0": _OTHER_ERROR,
    "device/vault/database.py:_Translated.__exit__: one less: 0": _OTHER_ERROR,
    "device/agent/reckoning.py:advance: comparison: wall <= walked": "both ways end at the same instant",
    **{
        f"device/vault/{where}: one less: 0": "the last of one column is the first"
        for where in (
            "recovery.py:is_offered",
            "database.py:Database.used_slots",
            "gate.py:Gate._secret",
            "security_keys.py:SecurityKeys.requested",
            "cards.py:Cards.of",
        )
    },
    **{
        f"device/vault/shelf.py:_BESIDE: {what}": "room is a guess; what does not fit is written all the same"
        for what in ("one less: 1024", "one more: 1024", "one less: 64", "one more: 64")
    },
    **{
        f"device/vault/shelf.py:Store.make_room: {what}": "a guess of how much room"
        for what in ("one less: 0", "one more: 0")
    },
    "device/vault/tries.py:Tries.count: one less: 0": _NO_WAIT,
    "device/vault/keysource.py:FileKeySource.create: arithmetic: os.O_RDONLY | os.O_DIRECTORY": _IS_A_FOLDER,
    "device/vault/parcels.py:Unfinished.lay: comparison: size < LARGE": _WHO_WRITES,
    "device/vault/parcels.py:Unfinished.ready: comparison: blocks.stop - blocks.start >= LARGE": _WHO_WRITES,
    "protocol/sealed/archive.py:_LARGEST: one less: 8": _TWO_GIGABYTES,
    "protocol/sealed/archive.py:_LARGEST: one less: 11": _TWO_GIGABYTES,
}
