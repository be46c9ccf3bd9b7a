"""`thuisloket-kit keys`: made once, laid out in memory alone."""

import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from typer.testing import CliRunner

from device.config import load
from device.drivers.keys.tpm.kit_keys import TpmSigningKey
from device.errors import Code, KitError, Refused
from device.key_commands import in_memory, keys
from tests.device.agent.kit import CONFIG
from tests.device.drivers.keys.tpm.swtpm import Swtpm
from tests.pki import Pki

TEXT = CONFIG.format(kit="kit-brugge-01", port=8740)
FILE = 'source = "file"\npath = "device-secret"'
SIGN_KEY, TLS_KEY = 'key = "certs/kit-sign.key"\n', "certs/kit-tls.key"


@pytest.fixture
def memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def tpm(tmp_path: Path) -> Iterator[Swtpm]:
    made = Swtpm(tmp_path / "tpm")
    made.start()
    yield made
    made.cut()


def of_tpm(tpm: Swtpm) -> str:
    return f'source = "tpm2"\ndevice = "{tpm.socket}"\npath = "keys/tpm.keys"\ntls = "keys/kit-tls.sealed"'


def written(folder: Path, source: str, tls_key: str = TLS_KEY, sign_key: str = SIGN_KEY) -> Path:
    text = TEXT.replace(FILE, source).replace(TLS_KEY, tls_key).replace(SIGN_KEY, sign_key)
    (folder / "kit.toml").write_text(text)
    return folder / "kit.toml"


def run(command: str, config: Path, *more: str) -> str:
    """What the command prints; raises what it raises."""
    told = CliRunner().invoke(keys, [command, "--config", str(config), *more], catch_exceptions=False)
    assert told.exit_code == 0
    return told.stdout


def refused(command: str, config: Path, *more: str) -> str:
    with pytest.raises((KitError, Refused)) as no:
        run(command, config, *more)
    return str(no.value)


def test_a_tpm_has_both_keys_and_the_uplinks_is_laid_out_in_memory(
    tmp_path: Path, memory: Path, tpm: Swtpm
) -> None:
    config = written(tmp_path, of_tpm(tpm), str(memory / "kit-tls.key"), "")
    made = json.loads(run("make", config))
    public = {role: load_pem_public_key(pem.encode()) for role, pem in made.items()}
    assert set(public) == {"kit-sign", "kit-tls"}
    assert "made before" in refused("make", config), "what is sealed would be lost"

    run("lay-out", config)
    run("lay-out", config)
    laid = memory / "kit-tls.key"
    assert laid.stat().st_mode & 0o777 == 0o600
    assert load_pem_private_key(laid.read_bytes(), None).public_key() == public["kit-tls"]
    assert [path.name for path in memory.iterdir()] == ["kit-tls.key"]
    assert "no such group" in refused("lay-out", config, "--group", "no-such-group")

    key = load(config).signing_key()
    assert isinstance(key, TpmSigningKey)
    assert key.public_key() == public["kit-sign"]
    key.public_key().verify(key.sign(b"said", ec.ECDSA(hashes.SHA256())), b"said", ec.ECDSA(hashes.SHA256()))


def test_the_next_tls_key_is_laid_out_too_and_moves_up_when_it_is_in_use(
    tmp_path: Path, memory: Path, tpm: Swtpm
) -> None:
    config = written(tmp_path, of_tpm(tpm), str(memory / "kit-tls.key"), "")
    made = {role: load_pem_public_key(pem.encode()) for role, pem in json.loads(run("make", config)).items()}
    certificate = load(config).uplink.certificate
    authority = Pki(tmp_path / "pki").authority
    certificate.parent.mkdir(exist_ok=True)
    certificate.write_bytes(authority.certify("kit-tls", "kit-brugge-01", made["kit-tls"]).chain_pem)

    def laid() -> tuple[object, object]:
        run("lay-out", config)
        files = (memory / "kit-tls.key", memory / "next-kit-tls.key")
        present, spare = (load_pem_private_key(file.read_bytes(), None).public_key() for file in files)
        return present, spare

    present, spare = laid()
    assert present == made["kit-tls"]
    assert laid() == (present, spare), "the same as long as it is not used"
    certificate.write_bytes(authority.certify("kit-tls", "kit-brugge-01", spare).chain_pem)
    after, fresh = laid()
    assert after == spare
    assert fresh not in (present, spare)


def test_a_signing_key_in_a_tpm_does_nothing_else(tmp_path: Path, tpm: Swtpm) -> None:
    key = TpmSigningKey(tpm.found(tmp_path / "tpm.keys"))
    assert copy.copy(key) is copy.deepcopy(key) is key
    assert (key.curve.name, key.key_size) == ("secp256r1", 256)
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    for ask in (
        lambda: key.exchange(ec.ECDH(), other),
        key.private_numbers,
        lambda: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        lambda: key.sign(b"", ec.ECDSA(hashes.SHA512())),
    ):
        with pytest.raises(ValueError, match="this key"):
            ask()


def test_a_key_is_not_laid_out_on_a_disk(tmp_path: Path, tpm: Swtpm) -> None:
    config = written(tmp_path, of_tpm(tpm), str(tmp_path / "kit-tls.key"), "")
    run("make", config)
    if in_memory(tmp_path):
        pytest.skip("this machine's temporary folder is in memory")
    assert "must be a folder in memory" in refused("lay-out", config)
    assert not (tmp_path / "kit-tls.key").exists()


def test_the_secret_of_the_fuses_is_handed_to_an_agent_that_may_not_ask_them(
    tmp_path: Path, memory: Path
) -> None:
    """As the units have it: one program asks `/dev/vcio`, the agent finds what it was told."""
    vcio, handed = tmp_path / "vcio", memory / "device-secret"
    text = f'source = "rpi-otp"\ndevice = "{vcio}"\nhanded = "{handed}"'
    command = [sys.executable, "-m", "device.emulators", "fuses", "--socket", str(vcio), "--key", "1a" * 32]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as firmware:
        assert firmware.stdout is not None
        assert json.loads(firmware.stdout.readline())["ready"]
        config = written(tmp_path, text)
        asked = load(config).keys.source.device_secret()
        run("lay-out", config)
        run("lay-out", config)
        firmware.terminate()
    assert handed.stat().st_mode & 0o777 == 0o600
    found = load(config).keys
    assert found.source.device_secret() == asked
    assert found.source.protection == "reduced"
    with pytest.raises(KitError) as gone:
        run("lay-out", config)
    assert gone.value.code == Code.KEY_SOURCE_GONE
    handed.unlink()
    with pytest.raises(KitError) as nothing:
        load(config).keys.source.device_secret()
    assert nothing.value.code == Code.KEY_SOURCE_GONE


def test_the_secret_of_the_fuses_is_handed_over_in_memory_alone(tmp_path: Path) -> None:
    if in_memory(tmp_path):
        pytest.skip("this machine's temporary folder is in memory")
    config = written(tmp_path, f'source = "rpi-otp"\nhanded = "{tmp_path / "secret"}"')
    assert "keys.handed" in refused("lay-out", config)


def test_what_lies_where_is_known(memory: Path, tmp_path: Path) -> None:
    assert in_memory(memory)
    assert not in_memory(Path("/proc"))
    assert not in_memory(tmp_path / "none")


def test_a_file_is_made_once_and_asks_for_no_certificates(tmp_path: Path) -> None:
    config = written(tmp_path, FILE)
    assert json.loads(run("make", config)) == {}
    secret = (tmp_path / "device-secret").read_bytes()
    assert "made before" in refused("make", config)
    assert (tmp_path / "device-secret").read_bytes() == secret
    run("lay-out", config)  # there is nothing to lay out


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('path = "x"', "keys.source: one of file, tpm2, rpi-otp"),
        ('source = "tpm"\npath = "x"', "keys.source: one of"),
        ("source = 7", "keys.source: one of"),
        ('source = "file"', "keys: Object missing required field `path`"),
        ('source = "file"\npath = "x"\ntries = 5', "unknown field `tries`"),
        ('source = "tpm2"\npath = "x"', "missing required field `tls`"),
        ('source = "tpm2"\npath = "x"\ntls = "y"\ntries = 2', "tries"),
        ('source = "tpm2"\npath = "x"\ntls = "y"\ntries = 11', "tries"),
        ('source = "rpi-otp"\npath = "x"', "unknown field `path`"),
    ],
)
def test_settings_of_a_source_are_strict(tmp_path: Path, source: str, says: str) -> None:
    with pytest.raises(KitError, match=says) as failure:
        load(written(tmp_path, source))
    assert failure.value.code == Code.BAD_CONFIG


@pytest.mark.parametrize("source", [FILE, 'source = "rpi-otp"'])
def test_a_source_without_a_signing_key_needs_one_in_a_file(tmp_path: Path, source: str) -> None:
    with pytest.raises(KitError, match=r"signing\.key: missing"):
        load(written(tmp_path, source, sign_key=""))
