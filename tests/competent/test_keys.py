import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)
from typer.testing import CliRunner

from competent.failure import Failed
from competent.keys import CMS_KEYS, IDENTITIES, app, make_keys, turn_over
from competent.trust import read_identities, read_private_key
from protocol.sealed import age
from protocol.sealed.recipients import BadRecipients, verify_list

AT = datetime(2026, 11, 23, 9, 0, 0, 123456, UTC)


def held(folder, at=AT):
    list_key = load_pem_public_key((folder / "list-key.pem").read_bytes())
    return verify_list((folder / "recipients.jws").read_text(), list_key, at)


def test_the_list_names_the_keys_in_the_folder(tmp_path):
    folder = tmp_path / "keys"
    make_keys(folder, "be.ibz.belpic", AT, timedelta(days=30))
    recipients = held(folder)
    assert recipients.expires == "2026-12-23T09:00:00Z"
    identities = [read_identities(folder / name)[0] for name in IDENTITIES]
    assert [one.age1pq for one in recipients.recipients] == [age.recipient_of(one) for one in identities]
    receipt_key = read_private_key(folder / "receipt.key").public_key()
    assert list(recipients.public_receipt_keys().values()) == [receipt_key]
    about = json.loads((folder / "service.json").read_bytes())
    assert about["service_id"] == "be.ibz.belpic"
    assert about["recipients"] == [one.kid for one in recipients.recipients]


def test_secrets_are_for_their_owner_alone(tmp_path):
    folder = tmp_path / "keys"
    make_keys(folder, "be.ibz.belpic", AT, timedelta(days=30))
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in (*IDENTITIES, "list.key", "receipt.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_a_second_run_keeps_the_keys_and_issues_the_list_anew(tmp_path):
    make_keys(tmp_path, "be.ibz.belpic", AT, timedelta(days=30))
    before = held(tmp_path)
    later = AT + timedelta(days=40)
    with pytest.raises(BadRecipients):
        held(tmp_path, later)
    make_keys(tmp_path, "be.ibz.belpic", later, timedelta(days=30))
    after = held(tmp_path, later)
    assert (after.recipients, after.receipt_keys) == (before.recipients, before.receipt_keys)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*IDENTITIES, "list.key", "receipt.key", "list-key.pem", "recipients.jws", "service.json"]
    )


def test_the_command_makes_them(tmp_path):
    arguments = ["--out", str(tmp_path / "keys"), "--service", "be.ibz.belpic", "--expires-days", "30"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert held(tmp_path / "keys", datetime.now(UTC)).service_id == "be.ibz.belpic"


@pytest.mark.parametrize(
    "arguments",
    [["--service", "IBZ"], ["--service", "be.ibz.belpic", "--expires-days", "0"], []],
)
def test_a_wrong_call_is_usage(tmp_path, arguments):
    assert CliRunner().invoke(app, ["--out", str(tmp_path), *arguments]).exit_code == 2


def test_a_folder_that_cannot_be_made_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["--out", str(tmp_path / "file" / "keys"), "--service", "be.ibz.belpic"])
    assert done.exit_code == 1
    assert "cannot-write" in done.stderr


def test_a_key_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "receipt.key"
    with pytest.raises(Failed):
        read_private_key(path)
    path.write_text("no key")
    with pytest.raises(Failed):
        read_private_key(path)
    wide = ec.generate_private_key(ec.SECP384R1())
    path.write_bytes(wide.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(Failed, match="P-256"):
        read_private_key(path)


def test_a_service_that_takes_cms_has_p256_keys_and_a_list_that_says_so(tmp_path):
    arguments = ["--out", str(tmp_path), "--service", "be.ibz.belpic", "--suite", "cms-p256-gcm", "--test"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    recipients = held(tmp_path, datetime.now(UTC))
    assert (recipients.suite, recipients.test) == ("cms-p256-gcm", True)
    private = [read_private_key(tmp_path / name).public_key() for name in CMS_KEYS]
    assert [one.public_key() for one in recipients.recipients] == private
    assert not (tmp_path / "current.age").exists()


def test_a_list_lives_thirty_days_at_most(tmp_path):
    arguments = ["--out", str(tmp_path), "--service", "be.ibz.belpic", "--expires-days", "31"]
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_a_rotation_makes_next_current_and_what_was_sealed_before_still_opens(tmp_path):
    make_keys(tmp_path, "be.ibz.belpic", AT, timedelta(days=30))
    before = [(tmp_path / name).read_text() for name in ("current.age", "next.age")]
    turn_over(tmp_path)
    make_keys(tmp_path, "be.ibz.belpic", AT, timedelta(days=30))
    after = [(tmp_path / name).read_text() for name in ("current.age", "next.age")]
    assert after[0] == before[1]
    assert after[1] not in before
    (former,) = tmp_path.glob("former-*-current.age")
    assert (former.read_text(), former.stat().st_mode & 0o777) == (before[0], 0o600)


def test_there_is_nothing_to_rotate_before_there_are_keys(tmp_path):
    with pytest.raises(Failed, match="no-keys"):
        turn_over(tmp_path)
