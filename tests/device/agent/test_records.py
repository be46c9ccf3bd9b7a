"""What is kept of a capture: itself, and the digests of the pictures that become parts of the application."""

import hashlib
from dataclasses import replace

import msgspec
import pytest

from device.agent.records import KeptFinger, KeptSignature, open_record, pack, unpack
from device.errors import Code, KitError
from device.ports import CardReading, Photo
from tests.device.agent.peripherals import PHOTO, READING

FINGER = KeptFinger(b"png", 60, 80, 500, {"area": 0.8}, (), "fake")
SIGNATURE = KeptSignature(b"svg", b"png", 2, 90, "fake")
assert READING.photo is not None
KEPT = [
    (READING, [READING.photo.jpeg]),
    (replace(READING, photo=None), []),
    (PHOTO, [PHOTO.jpeg]),
    (FINGER, [b"png"]),
    (SIGNATURE, [b"svg", b"png"]),
]


@pytest.mark.parametrize(("kept", "pictures"), KEPT)
def test_a_record_tells_the_digests_of_its_pictures_in_the_order_of_the_parts(kept, pictures):
    opened = open_record(pack(kept), type(kept))
    assert opened.kept == unpack(pack(kept), type(kept)) == kept
    assert opened.pictures == tuple(hashlib.sha256(each).hexdigest() for each in pictures)


@pytest.mark.parametrize("kept", [READING, PHOTO, FINGER, SIGNATURE])
def test_a_record_from_before_is_read_and_tells_none(kept):
    opened = open_record(msgspec.msgpack.encode(kept), type(kept))
    assert (opened.kept, opened.pictures) == (kept, ())


@pytest.mark.parametrize("data", [b"", b"\x92", b"\x92\x80\x90", b"\x91\x80", b"noise", pack(PHOTO)[:-1]])
@pytest.mark.parametrize("kind", [Photo, CardReading, KeptFinger])
def test_other_bytes_are_damage(data, kind):
    with pytest.raises(KitError) as failed:
        unpack(data, kind)
    assert failed.value.code == Code.VAULT_DAMAGED
