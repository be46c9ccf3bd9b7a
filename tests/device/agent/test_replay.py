import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from device.__main__ import command
from device.agent.replay import state_digest
from device.errors import Refused
from protocol.ids import new_ulid
from tests.device.agent.kit import Desktop, Kit
from tests.device.agent.peripherals import CANARIES


def replayed(config: Path, visit_id: str) -> dict[str, object]:
    arguments = ["replay", "--config", str(config), "--json", *([visit_id] if visit_id else [])]
    result = CliRunner().invoke(command.app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert not any(text in result.output for text in CANARIES)
    found: dict[str, object] = json.loads(result.output)
    return found


def test_at_every_step_the_journal_tells_the_state_the_desk_is_in(kit: Kit) -> None:
    visit = kit.visit()
    kit.bring_bag(visit)
    config = kit.write_config(1)
    seen = []
    with Desktop(kit) as top:
        top.begin(visit)
        for step in (*top.steps(), lambda: None):
            office = top.desk._office
            assert office is not None
            told = replayed(config, visit.visit_id)
            assert told["digest"] == state_digest(office._cases.visits[visit.visit_id])
            seen.append((told["facts"], told["stage"], told["digest"]))
            step()
    assert [stage for _, stage, _ in seen] == [
        *("card", "inform", "procedure", "photo", "fingers"),
        *("fingers", "signature", "review", "seal", "sealed"),
    ]
    assert len({digest for _, _, digest in seen}) == len(seen)


def test_without_an_id_every_visit_is_listed_the_last_begun_first(kit: Kit) -> None:
    """No screen shows an id; who looks after the kit finds it here."""
    first, second = kit.visit(), kit.visit()
    kit.bring_bag(first, second)
    config = kit.write_config(1)
    with Desktop(kit) as top:
        top.begin(first)
        top.desk.leave()
        top.desk.choose(second.visit_id)
        told = replayed(config, "")
        said = CliRunner().invoke(command.app, ["replay", "--config", str(config)]).output
    listed: Any = told["visits"]
    assert [each["visit_id"] for each in listed] == [second.visit_id, first.visit_id]
    assert listed[1] == replayed(config, first.visit_id)
    assert [line.split()[0] for line in said.splitlines()] == [second.visit_id, first.visit_id]
    assert not any(text in said for text in CANARIES)


def test_a_visit_that_is_not_here_is_refused(kit: Kit) -> None:
    with pytest.raises(Refused):
        CliRunner().invoke(
            command.app,
            ["replay", "--config", str(kit.write_config(1)), new_ulid()],
            catch_exceptions=False,
        )
