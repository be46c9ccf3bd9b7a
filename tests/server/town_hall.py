"""Citizens and a clerk at the fleet's pages, of which there are several: whichever answers."""

import random
import time
from collections.abc import Sequence
from datetime import date
from typing import Any

import httpx
from sqlalchemy import select

from protocol.ids import new_ulid
from protocol.lifecycle import VisitState
from server.db.scope import EVERYONE
from server.db.tables import Request, Visit
from tests.mosquitto import until
from tests.server.browsing import TOKEN
from tests.server.town import FORM, PASSWORD, Town

LONGEST_S = 300.0
NOBODY_S = 0.2  # between two tries at pages that are gone


class TownHall:
    """One browser. Each step is done again until a page has answered for it, as a person would."""

    def __init__(self, town: Town, ports: Sequence[int]) -> None:
        self._town, self._ports = town, ports
        self._client = httpx.Client(timeout=20.0, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def sign_in(self) -> None:
        self._send("/sign-in", "/sign-in", {"name": "planner.brugge", "password": PASSWORD}, 303)

    def ask(self) -> str:
        """Somebody new asks for a visit; the request's id."""
        fields = FORM | {"name": f"Persoon {new_ulid()}"}
        self._send("/aanvraag", "/aanvraag", fields, 201)
        with self._town.database.reading(EVERYONE) as db:
            waiting = Request.state == VisitState.REQUESTED
            return db.scalars(select(Request.request_id).where(waiting, Request.merged_into.is_(None))).one()

    def plan(self, request_id: str, kit_id: str, day: date, hour: int) -> Visit:
        """Give it to an officer and a kit; the visit. 409 on a second try: the first was done after all."""
        page, time_ = f"/requests/{request_id}", f"{hour:02}:00"
        fields = {"officer": "an.peeters", "kit": kit_id, "day": str(day), "time": time_, "minutes": "45"}
        self._send(page, f"{page}/plan", fields, 303, 409)
        with self._town.database.reading(EVERYONE) as db:
            return db.scalars(select(Visit).where(Visit.request_id == request_id)).one()

    def _send(self, page: str, path: str, fields: dict[str, Any], *wanted: int) -> None:
        def answered() -> bool:
            url = f"http://127.0.0.1:{random.choice(self._ports)}"
            try:
                form = self._client.get(url + page)
                found = TOKEN.search(form.text)
                assert found, f"{page} has no form: HTTP {form.status_code}"
                answer = self._client.post(url + path, data={**fields, "form_token": found[1]})
                status = answer.status_code
            except httpx.TransportError:
                time.sleep(NOBODY_S)
                return False
            assert status in wanted, f"{path}: HTTP {status}"
            return True

        until(answered, LONGEST_S, f"an answer of {path}")
