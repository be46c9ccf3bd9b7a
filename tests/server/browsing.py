"""A browser without a screen at the fleet's pages: keeps cookies, fills in the token of the form it got."""

import re
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.server.town import PASSWORD

TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


class Browser:
    """One person's browser; nobody is signed in yet."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def send(self, path: str, fields: dict[str, Any], page: str = "") -> TestResponse:
        """Fill in the form of `page` (the same path unless given) and send it."""
        found = TOKEN.search(self.get(page or path).text)
        assert found, f"no form on {page or path}"
        return self.client.post(path, data=fields | {"form_token": found[1]})

    def sign_in(self, name: str, password: str = PASSWORD) -> TestResponse:
        return self.send("/sign-in", {"name": name, "password": password})
