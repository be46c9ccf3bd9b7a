"""The town hall and its citizens at the fleet's own pages: ask for a visit, plan it, see where things are."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx

from provisioning.demo.cast import Citizen

PATIENCE_S = 20.0
FORM_TOKEN = re.compile(r'name="form_token"\s+value="([^"]+)"')


class TownHallFailed(Exception):
    """The fleet did not do what was asked; the text says what it answered."""


@dataclass(frozen=True)
class Planned:
    """A visit of today, and whose it is."""

    visit_id: str
    request_id: str
    citizen: Citizen


class TownHall:
    """One browser at the fleet, first of a citizen, after `sign_in` of a planner."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def sign_in(self, name: str, password: str) -> None:
        answer = self._send("/sign-in", "/sign-in", {"name": name, "password": password})
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise TownHallFailed(f"sign-in of {name}: HTTP {answer.status_code}")

    def ask_for_visit(self, citizen: Citizen) -> None:
        """Fill in the public form, as a carer would for somebody else."""
        answer = self._send(
            "/aanvraag",
            "/aanvraag",
            {
                "name": citizen.name,
                "birth_date": citizen.born.isoformat(),
                "national_number": citizen.national_number,
                "phone": citizen.phone,
                "street": citizen.street,
                "postcode": citizen.postcode,
                "municipality": citizen.municipality,
                "note": citizen.note,
                "language": citizen.language,
                "half_days": ["mon-am", "wed-pm"],
                "evidence": citizen.evidence,
                "requester": "carer",
                "requester_name": "Zorgdienst De Linde",
                "requester_contact": "050000009",
            },
        )
        if answer.status_code != httpx.codes.CREATED:
            raise TownHallFailed(f"the form for {citizen.key}: HTTP {answer.status_code}")

    def requests(self) -> list[str]:
        """Ids of the requests that wait for a visit, newest first."""
        return [each["request_id"] for each in self._get("requests") if each["state"] == "requested"]

    def plan(self, request_id: str, officer_id: str, kit_id: str, day: date, at: str, minutes: int) -> None:
        """Give a request to an officer and a kit; `at` is a time as HH:MM."""
        page = f"/requests/{request_id}"
        answer = self._send(
            page,
            f"{page}/plan",
            {
                "officer": officer_id,
                "kit": kit_id,
                "day": day.isoformat(),
                "time": at,
                "minutes": str(minutes),
            },
        )
        if answer.status_code != httpx.codes.SEE_OTHER:
            raise TownHallFailed(f"planning {request_id}: HTTP {answer.status_code}")

    def asked_anew(self, request_id: str) -> dict[str, Any] | None:
        """What the competent service wants anew of this request's application."""
        again: list[dict[str, Any] | None]
        again = [each["again"] for each in self._get("requests") if each["request_id"] == request_id]
        return again[0] if again else None

    def visit_of(self, request_id: str, *only: str) -> str:
        """The id of today's visit for a request: the whole one, or the short one for only these parts."""
        for visit in self._get("visits"):
            if visit["request_id"] == request_id and tuple(visit["only"]) == only:
                return str(visit["visit_id"])
        raise TownHallFailed(f"no visit of today for {request_id}")

    def applications(self) -> dict[str, str]:
        """State by packet id of the applications last changed."""
        return {each["packet_id"]: each["state"] for each in self._get("applications")}

    def custody(self) -> dict[str, Any]:
        """How old the oldest biometric of the fleet is, the counts, and how many incidents wait."""
        answer = self._client.get("/api/v1/custody")
        if answer.status_code != httpx.codes.OK:
            raise TownHallFailed(f"the fleet's custody: HTTP {answer.status_code}")
        told: dict[str, Any] = answer.json()
        return told

    def kits(self) -> list[dict[str, Any]]:
        return self._get("kits")

    def _get(self, what: str) -> list[dict[str, Any]]:
        answer = self._client.get(f"/api/v1/{what}")
        if answer.status_code != httpx.codes.OK:
            raise TownHallFailed(f"the fleet's {what}: HTTP {answer.status_code}")
        rows: list[dict[str, Any]] = answer.json()[what]
        return rows

    def _send(self, page: str, path: str, fields: dict[str, str | list[str]]) -> httpx.Response:
        """Open a page, fill in its form, send it."""
        found = FORM_TOKEN.search(self._client.get(page).text)
        if found is None:
            raise TownHallFailed(f"{page} has no form")
        return self._client.post(path, data={**fields, "form_token": found.group(1)})
