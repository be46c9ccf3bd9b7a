"""Why an application does not go on, for somebody who reads no codes: which words say it. Pure."""

import re

_WORDS = {
    "no-service": "no-way",
    "left": "left",
    "service-resting": "silent",
    "service-unreachable": "silent",
    "service-slow": "silent",
    "sftp-slow": "silent",
    "sftp-unreachable": "silent",
    "service-certificate": "certificate",
    "service-401": "certificate",
    "service-403": "certificate",
    "service-404": "address",
    "sftp-refused": "address",
    "sftp-not-installed": "ours",
    "bug": "bug",
    "recipients-unreadable": "list",
    "recipients-untrusted": "list",
    "recipients-expired": "list",
    "list-key-unreadable": "list",
    "receipt-untrusted": "answer",
    "receipt-malformed": "answer",
    "receipt-of-another": "answer",
    "answer-malformed": "answer",
    "answer-too-long": "answer",
}
_ELSEWHERE = re.compile(r"service-3[0-9]{2}")
_BUSY = re.compile(r"service-(408|409|425|429|5[0-9]{2})")


def reason(code: str) -> str:
    """The last part of a key below `forwarding.` for a code of the forwarder; a packet that the service will
    not take has words too, whatever it says."""
    if code.startswith("stale-"):
        return "stale"
    if _BUSY.fullmatch(code):
        return "busy"
    if _ELSEWHERE.fullmatch(code):
        return "address"
    return _WORDS.get(code, "refused")
