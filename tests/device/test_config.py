"""kit.toml: what is written is what runs; anything unknown or out of bounds stops the start, named."""

from pathlib import Path

import pytest

from device.config import LIMIT, load
from device.drivers.camera.folder import FolderCamera
from device.errors import Code, KitError
from tests.device.agent.kit import CONFIG

TEXT = CONFIG.format(kit="kit-brugge-01", port=8740)


def write(folder: Path, text: str) -> Path:
    path = folder / "kit.toml"
    path.write_text(text)
    return path


def test_a_whole_configuration_with_paths_relative_to_its_file(tmp_path: Path) -> None:
    config = load(write(tmp_path, TEXT))
    assert (config.kit_id, config.language, config.kiosk.port) == ("kit-brugge-01", "nl", 8740)
    assert config.vault == tmp_path / "data" / "vault.db"
    assert config.uplink.spool == config.spool == tmp_path / "data" / "spool"
    assert config.uplink.key == tmp_path / "certs" / "kit-tls.key"
    assert config.trust_recipients == tmp_path / "recipients.jws"
    assert config.health_sys == tmp_path / "sys"
    assert isinstance(config.drivers.camera(), FolderCamera)


def test_absolute_paths_stay_and_what_is_left_out_has_its_usual_value(tmp_path: Path) -> None:
    text = TEXT.replace('data = "data"', 'data = "/var/lib/thuisloket"').replace('language = "nl"\n', "")
    text = text.replace('sys = "sys"', "").replace("[kiosk]\nport = 8740", "")
    config = load(write(tmp_path, text))
    assert config.data == Path("/var/lib/thuisloket")
    assert (config.language, config.kiosk.port, config.kiosk.idle_lock_s) == ("nl", 8740, 300)
    assert config.health_sys == Path("/sys")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kit_id = "kit-brugge-01"', 'kit_id = "Brugge"', "kit_id"),
        ('kit_id = "kit-brugge-01"', "", "kit_id"),
        ('language = "nl"', 'language = "es"', "language"),
        ('language = "nl"', 'langage = "nl"', "langage"),
        ("port = 8740", "port = 70000", "kiosk.port"),
        ("port = 8740", "port = 8740\nhost = 1", "host"),
        ('https = "https://127.0.0.1:8443"', 'https = "http://fleet"', "fleet.https"),
        ('https = "https://127.0.0.1:8443"', 'https = "https://fleet/x?y"', "fleet.https"),
        ("[signing]", "[signature]", "signature"),
        ('source = "file"', 'source = "tpm"', "keys.source"),
        ('driver = "pcsc"', 'driver = "usb"', "drivers.card.driver: one of pcsc"),
        ('driver = "pcsc"', "", "drivers.card.driver"),
        ('driver = "pcsc"', "driver = 7", "drivers.card.driver"),
        ('reader = "no such reader"', "reader = 7", "drivers.card: "),
        ('reader = "no such reader"', 'raeder = "x"', "raeder"),
        ('driver = "folder"\npath = "frames"', 'driver = "folder"', "drivers.camera: "),
        ("baud = 115200", "baud = 115201", "drivers.fingerprint: "),
        ('port = "pad"', 'port = "pad"\npause_s = 99.0', "drivers.signature: "),
        ("every_s = 60", "every_s = 1", "health.every_s"),
        ("[health]", "[health", ""),
    ],
)
def test_a_wrong_key_stops_the_start_and_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in TEXT
    with pytest.raises(KitError) as wrong:
        load(write(tmp_path, TEXT.replace(old, new)))
    assert wrong.value.code is Code.BAD_CONFIG
    assert says in wrong.value.detail


def test_a_file_that_is_not_there_too_long_or_no_text_is_refused(tmp_path: Path) -> None:
    for data in (None, b"\xff\xfe", b"#" * (LIMIT + 1)):
        path = tmp_path / "kit.toml"
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(KitError) as wrong:
            load(path)
        assert wrong.value.code is Code.BAD_CONFIG
