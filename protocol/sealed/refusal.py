"""Why a sealed application is refused: one code a reason, the same on fleet and service."""

from enum import StrEnum


class Fault(StrEnum):
    """What is wrong with a packet, in the order in which an opener looks."""

    # the container
    NOT_A_PACKET = "not-a-packet"
    TRUNCATED = "truncated"
    TOO_LARGE = "too-large"
    TRAILING_BYTES = "trailing-bytes"
    # what it says of itself
    MANIFEST_NOT_CANONICAL = "manifest-not-canonical"
    UNKNOWN_SUITE = "unknown-suite"
    MANIFEST_MALFORMED = "manifest-malformed"
    SIGNATURES_MALFORMED = "signatures-malformed"
    # when it was made, and who signed it
    FROM_THE_FUTURE = "from-the-future"
    TOO_OLD = "too-old"
    KIT_SIGNATURE = "kit-signature"
    OFFICER_SIGNATURE = "officer-signature"
    CERTIFICATE_UNTRUSTED = "certificate-untrusted"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_USAGE = "certificate-usage"
    UNKNOWN_ROLE = "unknown-role"
    WRONG_SIGNER = "wrong-signer"
    # the sealed part
    GROUP_MISSING = "group-missing"
    PAYLOAD_DIGEST = "payload-digest"
    AGE_HEADER = "age-header"
    CMS_STRUCTURE = "cms-structure"
    LABEL_MISMATCH = "label-mismatch"
    RECIPIENTS_MISMATCH = "recipients-mismatch"
    WRONG_RECIPIENT = "wrong-recipient"
    HEADER_MAC = "header-mac"
    PAYLOAD_CORRUPT = "payload-corrupt"
    ARCHIVE_MALFORMED = "archive-malformed"
    CORE_MISMATCH = "core-mismatch"
    CONTENT_MISMATCH = "content-mismatch"


class BadPacket(ValueError):
    """The packet is refused; nothing of it may be used. `detail` is for a log and holds no personal data."""

    def __init__(self, code: Fault, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else str(code))
        self.code = code
        self.detail = detail
