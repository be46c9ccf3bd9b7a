import shutil

import pytest

from device.errors import Code, KitError
from device.vault.keysource import FileKeySource
from device.vault.quota import check_room


def fails(call, *arguments):
    with pytest.raises(KitError) as failure:
        call(*arguments)
    return failure.value.code


def test_a_new_secret_is_random_private_and_stays_the_same(tmp_path):
    first = FileKeySource.create(tmp_path / "a")
    second = FileKeySource.create(tmp_path / "b")
    assert len(first.device_secret()) == 32
    assert first.device_secret() == FileKeySource(tmp_path / "a").device_secret() != second.device_secret()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert first.protection == "reduced"


def test_a_secret_is_never_replaced(tmp_path):
    FileKeySource.create(tmp_path / "a")
    with pytest.raises(FileExistsError):
        FileKeySource.create(tmp_path / "a")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_of_another_length_is_refused(tmp_path, size):
    path = tmp_path / "a"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    assert fails(FileKeySource(path).device_secret) == Code.BAD_CONFIG


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    source = FileKeySource.create(tmp_path / "a")
    (tmp_path / "a").chmod(0o640)
    assert fails(source.device_secret) == Code.BAD_CONFIG


def test_a_secret_that_is_not_there_is_a_configuration_error(tmp_path):
    assert fails(FileKeySource(tmp_path / "none").device_secret) == Code.BAD_CONFIG


def test_a_visit_is_refused_before_the_disk_is_full(tmp_path):
    usage = shutil.disk_usage(tmp_path)
    taken = 1 - usage.free / usage.total
    check_room(tmp_path, min(taken + 0.05, 1.0))
    assert fails(check_room, tmp_path, taken - 0.05) == Code.DISK_FULL


def test_a_file_releases_its_secret_whatever_the_proof(tmp_path):
    source = FileKeySource.create(tmp_path / "a")
    enclosed = source.enclose(b"p" * 32)
    assert enclosed.secret == source.release(enclosed.ticket, b"q" * 32) == source.device_secret()
    assert "secret=" not in repr(enclosed)
    source.forget(enclosed.ticket)
    assert source.release(enclosed.ticket, b"p" * 32) == enclosed.secret
