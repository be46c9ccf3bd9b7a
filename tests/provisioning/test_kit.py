"""Kit folders as the kit's own program and OpenSSL's rules judge them."""

import json
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cryptography import x509

from provisioning import kit, toml
from provisioning.ca import Authority
from provisioning.kit import KitFolderError, NewOfficer, Site
from provisioning.program import ProgramRefused

OFFICERS = [NewOfficer("an.peeters", "An Peeters", "739154"), NewOfficer("bram.maes", "Bram Maes", "280467")]


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fleet has before its first kit: authority, recipient list, command key, roots of cards."""
    folder = tmp_path_factory.mktemp("site")
    authority = Authority.create(folder / "ca", "Testfleet")
    make = [
        sys.executable,
        "-m",
        "competent.keys",
        "--out",
        folder / "service",
        "--service",
        "be.eid.application",
    ]
    subprocess.run(make, check=True, capture_output=True)
    (folder / "cards").mkdir()
    (folder / "cards" / "root.pem").write_bytes(authority.bundle("root"))
    public = subprocess.run(
        ["openssl", "pkey", "-in", folder / "service" / "list.key", "-pubout"],
        capture_output=True,
        check=True,
    )
    (folder / "command-key.pem").write_bytes(public.stdout)
    return folder


def site(**changed: object) -> Site:
    usual: dict[str, object] = {
        "mqtt_host": "broker.example",
        "mqtt_port": 8883,
        "https": "https://fleet.example:8751",
        "cards": "cards",
        "recipients": "service/recipients.jws",
        "list_key": "service/list-key.pem",
        "command_key": "command-key.pem",
        "drivers": {
            "card": {"driver": "pcsc"},
            "camera": {"driver": "folder", "path": "frames"},
            "fingerprint": {"driver": "suprema-sfm", "port": "/dev/ttyUSB0", "baud": 115200},
            "signature": {"driver": "topaz-siglite", "port": "/dev/ttyUSB1"},
        },
    }
    return Site(**{**usual, **changed})  # type: ignore[arg-type]


def leaf(folder: Path, role: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "certs" / f"{role}.pem").read_bytes())


@pytest.fixture(scope="module")
def made(beside: Path) -> kit.Added:
    return kit.add(beside / "kits", "kit-brugge-01", Authority(beside / "ca"), site(), beside, OFFICERS)


def test_a_new_kit_says_to_whom_the_fleet_seals_its_day_bag(made: kit.Added) -> None:
    assert made.bag_recipient.startswith("age1pq1")
    assert made.folder.name == "kit-brugge-01"


def test_the_kits_own_program_accepts_its_folder(made: kit.Added) -> None:
    command = [sys.executable, "-m", "device", "doctor", "--config", made.folder / "kit.toml", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    checks = {check["name"]: check["state"] for check in json.loads(ran.stdout)["checks"]}
    for part in ("vault", "kit-sign", "kit-tls", "recipients"):
        assert checks[part] == "ok", part
    assert checks["device-secret"] == "warn", "in a file: reduced protection"


def test_secrets_of_a_kit_are_for_its_owner_alone(made: kit.Added) -> None:
    secrets = [
        *made.folder.rglob("*.key"),
        made.folder / "certs" / "device-secret",
        made.folder / "data" / "vault.db",
    ]
    assert len(secrets) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert len((made.folder / "certs" / "device-secret").read_bytes()) == 32


def test_a_pin_is_kept_nowhere(made: kit.Added, beside: Path) -> None:
    for path in beside.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [officer.officer_id for officer in OFFICERS if officer.pin.encode() in data]


def test_renewing_gives_fresh_certificates_and_takes_the_old_ones_back(beside: Path) -> None:
    authority = Authority(beside / "ca")
    added = kit.add(beside / "kits", "kit-renewed", authority, site(), beside, OFFICERS[:1])
    before = {role: leaf(added.folder, role).serial_number for role in kit.ROLES}
    kit.renew(beside / "kits", "kit-renewed", authority)
    after = {role: leaf(added.folder, role).serial_number for role in kit.ROLES}
    assert not set(before.values()) & set(after.values())
    revoked = {entry.serial for entry, gone in authority.issued() if gone}
    assert {f"{serial:x}" for serial in before.values()} <= revoked
    assert not {f"{serial:x}" for serial in after.values()} & revoked


def test_a_retired_kit_is_listed_as_revoked_and_keeps_its_folder(beside: Path) -> None:
    authority = Authority(beside / "ca")
    added = kit.add(beside / "kits", "kit-retired", authority, site(), beside, OFFICERS[:1])
    kit.retire(beside / "kits", "kit-retired", authority)
    lines = {line.kit_id: line for line in kit.listed(beside / "kits", authority)}
    assert lines["kit-retired"].revoked
    assert added.folder.is_dir()


@pytest.mark.parametrize(
    ("kit_id", "changed", "officers", "complaint"),
    [
        ("brugge", {}, OFFICERS, "not a name for a kit"),
        ("kit-../../etc", {}, OFFICERS, "not a name for a kit"),
        ("kit-brugge-01", {}, OFFICERS, "there already"),
        ("kit-new", {}, [], "at least one officer"),
        ("kit-new", {"recipients": "nowhere.jws"}, OFFICERS, "nowhere.jws"),
        ("kit-new", {"cards": "service/../kits"}, OFFICERS, "no root certificate"),
        ("kit-new", {"drivers": {"card": {"driver": "magic"}}}, OFFICERS, "device (init|keys) failed"),
        ("kit-new", {}, [NewOfficer("an.peeters", "An", "123456")], "device (init|keys) failed"),
    ],
)
def test_a_kit_that_cannot_be_made_leaves_no_folder_and_no_valid_certificate(
    beside: Path,
    made: kit.Added,
    kit_id: str,
    changed: dict[str, object],
    officers: list[NewOfficer],
    complaint: str,
) -> None:
    authority = Authority(beside / "ca")
    with pytest.raises(ProgramRefused, match=complaint):
        kit.add(beside / "kits", kit_id, authority, site(**changed), beside, officers)
    assert not (beside / "kits" / "kit-new").exists()
    kits = [gone for entry, gone in authority.issued() if entry.name == "kit-new" and entry.role in kit.ROLES]
    assert all(kits)
    assert (made.folder / "kit.toml").exists()


def test_a_site_file_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    whole = {field: getattr(site(), field) for field in Site.__struct_fields__}
    path.write_text(toml.text(whole))
    assert kit.read_site(path) == site()
    path.write_text(toml.text({**whole, "colour": "blue"}))
    with pytest.raises(KitFolderError, match="colour"):
        kit.read_site(path)


def test_the_command_makes_a_kit_and_shows_its_pins_once(beside: Path) -> None:
    (beside / "site.toml").write_text(
        toml.text({field: getattr(site(), field) for field in Site.__struct_fields__})
    )
    (beside / "officers.toml").write_text('[[officer]]\nofficer_id = "an.peeters"\nname = "An Peeters"\n')
    command = [sys.executable, "-m", "provisioning", "kit", "add", "kit-cli", "--json"]
    command += [
        "--ca",
        str(beside / "ca"),
        "--kits",
        str(beside / "kits"),
        "--site",
        str(beside / "site.toml"),
    ]
    ran = subprocess.run(
        [*command, "--officers", str(beside / "officers.toml")], capture_output=True, text=True, check=True
    )
    told = json.loads(ran.stdout)
    assert told["kit_id"] == "kit-cli"
    assert len(told["pins"]["an.peeters"]) == 6
    settings = tomllib.loads((beside / "kits" / "kit-cli" / "kit.toml").read_text())
    assert settings["fleet"]["mqtt_host"] == "broker.example"
    again = subprocess.run(
        [*command, "--officers", str(beside / "officers.toml")], capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert "there already" in again.stderr


def test_pins_made_by_chance_are_none_that_are_guessed_first() -> None:
    pins = {kit.new_pin() for _ in range(3000)}
    assert not pins & {"000000", "111111", "123456", "654321", "987654", "012345"}
    assert all(len(pin) == 6 and pin.isdigit() for pin in pins)
