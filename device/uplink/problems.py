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


NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def code_of(problem: OSError | http.client.HTTPException) -> str:
    """server-untrusted, certificate-refused, no-network, timed-out, server-down, link-lost or bad-answer."""
    match problem:
        case ssl.SSLCertVerificationError():
            return "server-untrusted"  # a captive portal looks like this, and so does a wrong clock
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
