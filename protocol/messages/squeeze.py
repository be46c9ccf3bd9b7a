"""Messages made small for the wire: deflated with a dictionary that both sides have (protocol 7). Pure.

Over a mobile link a report costs by the byte. Deflate finds the words of our own messages in the dictionary,
so what is left of an envelope is what is new in it.
"""

import zlib

from protocol.messages.fields import BadMessage

MARK = b"z"  # a plain message begins with a brace
_WINDOW = -15  # raw deflate: no header, no sum; TLS has one

# The most likely last: deflate reaches back from there at the least cost. Changing a byte of it makes another
# protocol.
DICTIONARY = (
    b'"state":"opened""state":"abandoned""reason":"not-home""unwell""cannot""mistake""expired""refused"'
    b'"kind":"access","what":"pin-changed""code-used""officer-added""officer-removed""lease-ended","officer":"'
    b'"kind":"job","job":"01","state":"accepted""downloading""installed""confirmed""done""failed""code":""}}'
    b'"kind":"reported","version":1,"refused":"","results":[{"key":"language","state":"applied","code":""},'
    b'"health-every-s""idle-lock-s""upload-piece-bytes""log-level"'
    b'"kind":"deletion","certificate":"eyJhbGciOiJFUzI1NiIsImtpZCI6I'
    b'"kind":"birth","version":"0.1.0","started":"2026-11-2","peripherals":[{"name":"card","model":"","serial":"",'
    b'"firmware":""},"certificate_until":"2026-12-","packet":1,"protection":"hardware","reduced","test_trust":false}}'
    b'"kind":"presence","s":"online"}}"lost""off""sleep"'
    b'"kind":"application","packet_id":"01K","visit_id":"01K","state":"uploaded""receipted""deleted",'
    b'"manifest_sha256":"","epoch":1}}"kind":"visit","visit_id":"01K","state":"sealed","reason":"","epoch":1}}'
    b'"mains":false,"temperature_c":null,"degraded""missing"in_visit":true'
    b'{"v":1,"id":"01M","kit":"kit-","ses":1,"seq":1,"ts":"2026-11-23T08:00:00Z","ts_src":"none""ntp""rtc",'
    b'"body":{"kind":"health","battery":null,"mains":true,"temperature_c":4,"disk_free_mb":1,"peripherals":'
    b'{"card":"ok","camera":"ok","fingerprint":"ok","signature":"ok"},"sealed_waiting":0,"oldest_waiting_s":0,'
    b'"reports_waiting":0,"in_visit":false,"uptime_s":1,"drafts":0,"oldest_draft_s":0}}'
)


def squeeze(data: bytes) -> bytes:
    """A message in its small form, or as it is when that is not smaller."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    small = MARK + packer.compress(data) + packer.flush()
    return small if len(small) < len(data) else data


def unsqueeze(data: bytes, most: int) -> bytes:
    """The message, of at most `most` bytes, from either form. BadMessage too-big, malformed."""
    if data[:1] != MARK:
        return data
    reader = zlib.decompressobj(_WINDOW, DICTIONARY)
    try:
        plain = reader.decompress(data[1:], most + 1)
    except zlib.error as problem:
        raise BadMessage("malformed", "deflate") from problem
    if len(plain) > most:
        raise BadMessage("too-big", f"more than {most} bytes")
    if not reader.eof or reader.unused_data:
        raise BadMessage("malformed", "deflate")
    return plain
