"""Proof that a form came from our own page: a token bound to the cookie of the same browser.

`HMAC-SHA256(secret, cookie value)`: the cookie is the session's, or for visitors a random one that means
nothing else. Another site can make the browser send the cookie but cannot read the page that holds the token.
"""

import base64
import hmac
from hashlib import sha256


def token(secret: bytes, cookie: str) -> str:
    digest = hmac.new(secret, cookie.encode(), sha256).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()


def fits(secret: bytes, cookie: str, given: str) -> bool:
    return bool(cookie) and hmac.compare_digest(token(secret, cookie).encode(), given.encode())
