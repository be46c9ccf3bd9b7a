"""The commands as an administrator types them: a fleet set up from nothing, and what is refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from protocol.sealed import agekeys
from server.command import app
from server.config import BadConfig, read
from server.db import schema
from tests.server.town import BRUGGE, FORM, PASSWORD, Town

RUN = CliRunner()


@pytest.fixture
def empty(town: Town) -> Town:
    (town.folder / "data" / "fleet.db").unlink()
    return town


def run(town: Town, *argv: str, given: str = "") -> Any:
    return RUN.invoke(app, [*argv[:2], "--config", str(town.toml), *argv[2:]], input=given)


def test_a_fleet_is_set_up_from_nothing(empty: Town) -> None:
    def did(*argv: str, given: str = "") -> dict[str, Any]:
        result = run(empty, *argv, "--json", given=given)
        assert result.exit_code == 0, result.output
        answer: dict[str, Any] = json.loads(result.stdout)
        return answer

    result = RUN.invoke(app, ["migrate", "--config", str(empty.toml), "--json"])
    assert json.loads(result.stdout) == {"before": "", "now": schema.HEAD}
    town = ("--tenant", BRUGGE)
    did("municipality", "add", *town, "--name", "Brugge", "--postcodes", "8000,8200")
    did("officer", "add", "--id", "an.peeters", "--name", "An Peeters", *town)
    _, recipient = agekeys.generate()
    did("kit", "add", "kit-brugge-01", "--bag-recipient", recipient, *town)
    account = ("--name", "planner", "--role", "planner", *town, "--password-stdin")
    did("account", "add", *account, given=PASSWORD + "\n")
    request = did("request", "add", given=json.dumps(FORM))
    assert len(request["code"]) == 16
    visit = did(
        "visit",
        "plan",
        "--request",
        request["request_id"],
        "--officer",
        "an.peeters",
        "--kit",
        "kit-brugge-01",
        "--starts",
        "2096-11-23T14:00:00+01:00",
        "--minutes",
        "45",
    )
    assert len(visit["visit_id"]) == 26
    assert run(empty, "kit", "retire", "kit-brugge-01").exit_code == 0


def test_many_are_loaded_at_once_or_none(empty: Town) -> None:
    RUN.invoke(app, ["migrate", "--config", str(empty.toml)])
    document = {
        "municipalities": [{"tenant": BRUGGE, "name": "Brugge", "postcodes": ["8000"]}],
        "officers": [{"id": "an.peeters", "name": "An Peeters", "tenant": BRUGGE}],
        "accounts": [{"name": "x", "role": "planner", "tenant": BRUGGE, "password": PASSWORD}],
    }

    def load(given: object) -> Any:
        argv = ["load", "--config", str(empty.toml), "--json"]
        return RUN.invoke(app, argv, input=json.dumps(given))

    assert load(document).exit_code == 3  # the name of the account
    document["accounts"][0]["name"] = "planner"
    result = load(document)
    assert json.loads(result.stdout) == {"municipalities": 1, "officers": 1, "accounts": 1, "kits": 0}
    assert load({"townships": []}).exit_code == 3
    assert load([]).exit_code == 3


@pytest.mark.parametrize(
    ("argv", "given", "status", "code"),
    [
        (["municipality", "add", "--tenant", "1", "--name", "X", "--postcodes", "8000"], "", 3, "bad-tenant"),
        (["officer", "add", "--id", "AN", "--name", "An", "--tenant", BRUGGE], "", 3, "bad-officer-id"),
        (["kit", "add", "kit-x", "--bag-recipient", "age1", "--tenant", BRUGGE], "", 3, "bad-bag-recipient"),
        (["kit", "add", "KIT", "--bag-recipient", "age1", "--tenant", BRUGGE], "", 3, "bad-kit-id"),
        (["kit", "retire", "kit-nobody"], "", 3, "unknown-kit"),
        (["request", "add"], "{}", 3, "invalid"),
        (["request", "add"], "[1]", 3, "invalid"),
        (
            ["account", "add", "--name", "aa", "--role", "planner", "--password-stdin"],
            "x\n",
            3,
            "role-tenant",
        ),
        (["account", "add", "--name", "aa", "--role", "planner"], "", 2, "stdin"),
        (
            ["visit", "plan", "--request", "x", "--officer", "x", "--kit", "x", "--starts", "morgen"],
            "",
            2,
            "instant",
        ),
    ],
)
def test_what_does_not_fit_ends_with_its_code(
    town: Town, argv: list[str], given: str, status: int, code: str
) -> None:
    result = run(town, *argv, given=given)
    assert result.exit_code == status
    assert code in result.output


@pytest.mark.parametrize("command", ["serve", "ingest", "work"])
def test_a_server_refuses_a_database_without_tables(empty: Town, command: str) -> None:
    argv = [sys.executable, "-m", "server", command, "--config", str(empty.toml)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=100)
    assert result.returncode == 1
    assert "thuisloket-fleet migrate" in result.stderr


def test_a_secret_that_others_may_read_stops_the_start(town: Town) -> None:
    (town.folder / "field.key").chmod(0o644)
    result = run(town, "request", "add", given=json.dumps(FORM))
    assert result.exit_code == 1
    assert "chmod 600" in result.output


def test_the_description_of_the_api_is_printed() -> None:
    result = RUN.invoke(app, ["openapi"])
    assert "/api/v1/kits" in json.loads(result.stdout)["paths"]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('data = "data"', "", "data"),
        ('data = "data"', "data = 5", "$.data"),
        ("[web]", "[web]\ncolour = 'red'", "$.web"),
        ("[mqtt]", "[mqtt]\nport = 99999\n[x]", "x"),
        ('language = "nl"', 'language = "es"', "$.language"),
        ("https://127", "http://127", "$.services"),
        ('[services."be.eid.application"]', '[services."Niet Goed"]', "$.services"),
        ("command_kid", "command_id", "$.keys"),
        ("[web]", "[web", "not TOML"),
    ],
)
def test_a_configuration_that_does_not_fit_names_the_place(
    town: Town, old: str, new: str, place: str
) -> None:
    text = town.toml.read_text()
    assert old in text
    town.toml.write_text(text.replace(old, new))
    with pytest.raises(BadConfig, match=place.replace("$", r"\$")):
        read(town.toml)


def test_a_certificate_goes_with_its_key(town: Town) -> None:
    lines = town.toml.read_text().splitlines()
    last = max(index for index, line in enumerate(lines) if line.startswith("key ="))
    town.toml.write_text("\n".join(line for index, line in enumerate(lines) if index != last))
    with pytest.raises(BadConfig, match="together"):
        read(town.toml)


def test_an_empty_text_is_a_key_left_out_and_paths_start_at_the_file(town: Town, tmp_path: Path) -> None:
    assert town.config.data == town.folder / "data"
    assert town.config.database_url == f"sqlite:///{town.folder}/data/fleet.db"
    text = town.toml.read_text().replace('metrics_token = "metrics-token"', 'metrics_token = ""')
    town.toml.write_text(text)
    assert read(town.toml).web.metrics_token is None


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot be read"):
        read(tmp_path / "none.toml")
