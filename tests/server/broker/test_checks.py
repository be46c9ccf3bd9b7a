"""The broker's check: green on what we set up, and the right one red on each way to set it up wrongly."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from server.broker.checks import all as checks
from server.broker.checks.stand import Result
from server.db.scope import EVERYONE
from server.fleet import broker_health
from server.work import utc_now
from tests.mosquitto import until
from tests.server.broker.conftest import Managed
from tests.server.programs import PATIENCE_S, Program, running
from tests.server.test_command import RUN

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
LONG = pytest.mark.skipif("THUISLOKET_LONG" not in os.environ, reason="waits for messages that never come")
NAMES = {one.name for one in checks.CHECKS}


def change(managed: Managed, old: str, new: str) -> None:
    """Another configuration for the same broker, which starts anew with it."""
    managed.broker.stop()
    lines = managed.conf.read_text().splitlines()
    assert any(line.startswith(old) for line in lines), old
    kept = [new if line.startswith(old) else line for line in lines]
    managed.conf.write_text("\n".join(line for line in kept if line) + "\n")
    managed.broker.start()


def run(managed: Managed, *only: str) -> dict[str, Result]:
    return {
        result.name: result
        for result in checks.run(managed.town.database, managed.town.config, utc_now, only)
    }


def test_the_broker_as_we_set_it_up_is_green(managed: Managed) -> None:
    managed.manager.agree()
    results = run(managed)
    assert set(results) == NAMES
    assert {result.trap for result in results.values()} == set(range(15))
    assert not [result for result in results.values() if not result.ok]
    with managed.town.database.reading(EVERYONE) as db:
        assert [row.name for row in broker_health.results(db)] == [one.name for one in checks.CHECKS]
        assert broker_health.verdict(db, utc_now()) == ""
        assert "older" in broker_health.verdict(db, utc_now() + timedelta(days=3))


@pytest.mark.parametrize(
    ("red", "old", "new"),
    [
        ("take-over", "use_username_as_clientid", ""),
        ("revoked", "crlfile", ""),
        ("list-life", "crlfile", "crlfile /nowhere/list.pem"),
        ("oversized", "max_packet_size", ""),
        pytest.param("worker-death", "max_queued_messages", "max_queued_messages 1", marks=LONG),
        pytest.param("queue-depth", "max_queued_messages", "max_queued_messages 100", marks=LONG),
        ("refusal", "tls_version", "tls_version tlsv1.2"),
        ("refusal", "require_certificate", "require_certificate false"),
        ("kill", "autosave_interval", "autosave_interval 1800"),
        ("kill", "autosave_interval", "autosave_interval 0"),
        ("kill", "autosave_on_changes", "autosave_on_changes true"),
        ("restart", "persistence true", "persistence false"),
        ("reload", "autosave_interval", "persistent_client_expiration 30d"),
    ],
)
def test_what_is_set_up_wrongly_turns_its_check_red(managed: Managed, red: str, old: str, new: str) -> None:
    managed.manager.agree()
    if "/nowhere/" in new:  # mosquitto itself would not start with it
        managed.conf.write_text(
            managed.conf.read_text().replace(str(managed.broker.settings.revoked), "/nowhere/l")
        )
    else:
        change(managed, old, new)
    result = run(managed, red)[red]
    assert not result.ok
    assert result.remedy


def test_where_nothing_can_be_tried_it_is_said_what_to_write(managed: Managed) -> None:
    managed.manager.agree()
    change(managed, "plugin", "")
    lost = run(managed, "live-session")["live-session"]
    assert (lost.ok, lost.detail) == (False, "not tried: no-answer")
    assert "`plugin` and `plugin_opt_config_file`" in lost.remedy
    change(managed, "allow_anonymous", "allow_anonymous true")
    change(managed, "require_certificate", "require_certificate false")
    results = run(managed, "foreign-topic", "refusal")
    assert [result.ok for result in results.values()] == [False, False]
    assert all(
        "require_certificate true" in result.remedy or "plugin" in result.remedy
        for result in results.values()
    )


def test_an_access_list_is_found_out(managed: Managed) -> None:
    """What 0064 once decided: delivery is checked, SUBSCRIBE is not, and no session can be ended."""
    managed.broker.stop()
    text = [line for line in managed.conf.read_text().splitlines() if not line.startswith("plugin")]
    acl = managed.broker.settings.folder / "acl"
    acl.write_text(
        "pattern write tl/v1/kit/%u/up/#\npattern write tl/v1/kit/%u/state/#\n"
        "pattern read tl/v1/kit/%u/down/#\n"
        "user fleet-admin\ntopic write tl/v1/kit/+/down/#\n"
    )
    managed.conf.write_text("\n".join([f"acl_file {acl}", *text]) + "\n")
    managed.broker.start()
    results = run(managed, "foreign-topic", "shared-subscription", "live-session", "take-over", "queue-head")
    red = {name for name, result in results.items() if not result.ok}
    assert red == {"shared-subscription", "live-session"}
    assert "acl_file" in results["shared-subscription"].remedy


def test_a_list_near_its_end_is_told_before_it_locks_everybody_out(managed: Managed) -> None:
    later = datetime.now(UTC) + timedelta(days=25)
    (result,) = checks.run(managed.town.database, managed.town.config, lambda: later, ["list-life"])
    assert not result.ok
    assert "list-expiring" in result.detail


def test_a_broker_that_is_not_there_is_red_and_not_skipped(managed: Managed) -> None:
    managed.broker.stop()
    results = run(managed, "foreign-topic", "revoked", "live-session")
    assert {result.detail for result in results.values()} == {"not tried: unreachable"}


def test_production_waits_for_a_green_check(managed: Managed) -> None:
    managed.write_toml(mode="production")
    config = str(managed.town.toml)
    for part in (("serve", "--only", "kits"), ("ingest",), ("serve",)):
        program = Program(managed.town.folder / "refused.log", "server", *part, "--config", config)
        assert program.process.wait(PATIENCE_S) == 1, part
    assert "never checked: run" in (managed.town.folder / "refused.log").read_text()
    managed.manager.agree()
    checked = RUN.invoke(_app(), ["broker", "check", "--config", config, "--json"])
    told = json.loads(checked.stdout)
    assert (checked.exit_code, told["safe"]) == (0, True), told
    with running(managed.town, "ingest") as program:
        until(lambda: "broker connected" in program.log.read_text(), PATIENCE_S)
        assert program.process.poll() is None


def test_one_red_check_is_enough_to_refuse_production(managed: Managed) -> None:
    managed.manager.agree()
    change(managed, "use_username_as_clientid", "")
    checked = RUN.invoke(
        _app(), ["broker", "check", "--config", str(managed.town.toml), "--only", "take-over"]
    )
    assert checked.exit_code == 1
    assert "FAIL take-over" in checked.stdout
    with (
        managed.town.database.reading(EVERYONE) as db,
        pytest.raises(broker_health.BrokerUnsafe, match="take-over"),
    ):
        broker_health.require(db, utc_now())


def _app() -> object:
    from server.command import app

    return app
