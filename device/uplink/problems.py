"""Why the link does not do: every failure of the network as one short code, for screen and log."""

import errno
import http.client
import socket
import ssl


class LinkDown(Exception):
    """The fleet cannot be reached, or its answer cannot be used. `code` is one of the words of `code_of`,
    bad-answer, or a reason of the broker's; `detail` names no person and no address."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


NOT_OF_THIS_TIME = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def code_of(problem: OSError | http.client.HTTPException) -> str:
    """server-untrusted, portal, clock-wrong, certificate-refused, no-network, timed-out, server-down,
    link-lost or bad-answer."""
    match problem:
        case ssl.SSLCertVerificationError() if getattr(problem, "verify_code", 0) in NOT_OF_THIS_TIME:
            return "clock-wrong"
        case ssl.SSLCertVerificationError():
            return "server-untrusted"  # most captive portals look like this
        case ssl.SSLError() if (getattr(problem, "reason", "") or "") in NOT_TLS:
            return "portal"
        case ssl.SSLError() if "ALERT" in (getattr(problem, "reason", "") or ""):
            return "certificate-refused"
        case socket.gaierror():
            return "no-network"
        case TimeoutError():
            return "timed-out"
        case ConnectionRefusedError():
            return "server-down"
        case OSError() if problem.errno in NO_ROUTE:
            return "no-network"
        case OSError():
            return "link-lost"
    return "bad-answer"
