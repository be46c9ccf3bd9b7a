"""What the fleet wishes a kit to be set to: taken, told setting by setting, held over a restart."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device.spool.steering_hatch import SteeringHatch
from protocol import canonical, signed
from protocol.desired import DesiredState, sign_desired
from protocol.instant import write_instant
from protocol.messages import Reported
from tests.device.agent.kit import KIT, Desktop, Kit
from tests.mosquitto import until


def wish(kit: Kit, version: int, settings: dict[str, int | str], **changes: Any) -> None:
    """As the uplink puts it down."""
    now = kit.clock.now()
    values: dict[str, Any] = {
        "v": 1, "kit_id": KIT, "version": version, "settings": settings,
        "issued": write_instant(now), "not_after": write_instant(now + timedelta(days=1)),
    }  # fmt: skip
    key = changes.pop("key", kit.command_key)
    kid = signed.key_id(kit.command_key.public_key())
    token = signed.sign("desired", canonical.dumps(values | changes), key, kid)
    SteeringHatch(kit.data / "spool").store_wish(token)


def told(kit: Kit) -> Reported | None:
    path = kit.data / "spool" / "shown" / "reported.json"
    return msgspec.json.decode(path.read_bytes(), type=Reported) if path.exists() else None


def stands(kit: Kit, version: int, refused: str, **settings: str) -> bool:
    now = told(kit)
    if now is None or (now.version, now.refused) != (version, refused):
        return False
    return {each.key.replace("-", "_"): each.state for each in now.results} == settings


def test_a_wish_is_applied_told_and_held(kit: Kit) -> None:
    with Desktop(kit) as top:
        wish(kit, 1, {"language": "fr", "idle-lock-s": 30, "upload-piece-bytes": 8192, "log-level": "info"})
        top.until(lambda seen: seen.language == "fr")
        until(lambda: stands(
            kit, 1, "", language="applied", idle_lock_s="applied", upload_piece_bytes="applied",
            log_level="applied",
        ))  # fmt: skip
        tuning = SteeringHatch(kit.data / "spool").tuning()
        assert (tuning.piece_bytes, tuning.log_level) == (8192, "info")
    (kit.data / "spool" / "wish.jws").unlink()
    with Desktop(kit) as top:
        top.until(lambda seen: seen.language == "fr")
        wish(kit, 2, {"health-every-s": 10})
        top.until(lambda seen: seen.language == "")
        until(lambda: stands(kit, 2, "", health_every_s="applied"))
        assert SteeringHatch(kit.data / "spool").tuning().piece_bytes is None


def test_the_language_waits_for_the_end_of_a_visit(kit: Kit) -> None:
    line = kit.visit()
    kit.bring_bag(line)
    with Desktop(kit) as top:
        top.until_step(line, "inform")
        wish(kit, 1, {"language": "de"})
        until(lambda: stands(kit, 1, "", language="pending"))
        assert top.desk.now().language == ""
        top.desk.leave()
        top.until(lambda seen: seen.language == "de")
        until(lambda: stands(kit, 1, "", language="applied"))


def test_one_bad_setting_leaves_the_others_and_one_of_a_newer_fleet_is_not_spoken_of(kit: Kit) -> None:
    with Desktop(kit):
        wish(kit, 1, {"idle-lock-s": 5, "language": "nl", "camera-shutter": 1})
        until(lambda: stands(kit, 1, "", idle_lock_s="refused", language="applied"))


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("signature", {"key": ec.generate_private_key(ec.SECP256R1())}),
        ("malformed", {"citizen": "x"}),
        ("other-kit", {"kit_id": "kit-other"}),
        ("replayed", {"version": 4}),
        ("expired", {"issued": "2026-11-20T09:00:00Z", "not_after": "2026-11-20T10:00:00Z"}),
    ],
)
def test_what_does_not_count_is_refused_by_its_code_and_what_held_holds(
    kit: Kit, code: str, changes: dict[str, Any]
) -> None:
    with Desktop(kit) as top:
        wish(kit, 5, {"language": "fr"})
        top.until(lambda seen: seen.language == "fr")
        wish(kit, **({"version": 6, "settings": {"language": "en"}} | changes))
        until(lambda: stands(kit, 5, code, language="applied"))
        assert top.desk.now().language == "fr"
        wish(kit, 7, {})
        until(lambda: stands(kit, 7, ""))


def test_a_fleet_that_signs_as_the_protocol_says_is_understood(kit: Kit) -> None:
    now = kit.clock.now()
    document = DesiredState(
        v=1, kit_id=KIT, version=1, issued=write_instant(now),
        not_after=write_instant(now + timedelta(days=1)), settings={"language": "en"},
    )  # fmt: skip
    kid = signed.key_id(kit.command_key.public_key())
    with Desktop(kit) as top:
        SteeringHatch(kit.data / "spool").store_wish(sign_desired(document, kit.command_key, kid))
        top.until(lambda seen: seen.language == "en")
