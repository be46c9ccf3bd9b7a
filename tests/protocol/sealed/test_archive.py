import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.sealed.archive import BLOCK, BadArchive, read_archive, write_archive

NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,30}", fullmatch=True)
MEMBERS = st.lists(st.tuples(NAMES, st.binary(max_size=1200)), max_size=5)


@given(MEMBERS)
def test_members_come_back_as_they_were_written(members):
    assert read_archive(write_archive(members)) == members


def test_any_tar_program_reads_it():
    archive = write_archive([("manifest-core.json", b"{}"), ("photo.jpg", b"x" * BLOCK), ("empty.json", b"")])
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
        assert [(m.name, m.size, m.mode, m.uid, m.isreg()) for m in members] == [
            ("manifest-core.json", 2, 0o600, 0, True),
            ("photo.jpg", 512, 0o600, 0, True),
            ("empty.json", 0, 0o600, 0, True),
        ]


def test_every_changed_byte_gives_other_members_or_a_refusal():
    archive = write_archive([("a.json", b"{}"), ("b.jpg", b"jpeg")])
    for at in range(len(archive)):
        changed = bytearray(archive)
        changed[at] ^= 1 << at % 8
        try:
            assert write_archive(read_archive(bytes(changed))) == changed
        except BadArchive:
            continue


def foreign(**changes):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("photo.jpg")
        for name, value in changes.items():
            setattr(member, name, value)
        tar.addfile(member)
    return file.getvalue()


GOOD = write_archive([("a.json", b"{}")])


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"\0" * BLOCK,
        b"\0" * (3 * BLOCK),
        GOOD + b"\0",
        GOOD + b"\0" * BLOCK,
        GOOD[:-1],
        GOOD[:-BLOCK],
        GOOD[: BLOCK + 1],
        GOOD[:BLOCK],
        GOOD[:BLOCK] + b"{}" + b"x" * 510 + GOOD[2 * BLOCK :],
        foreign(),
        foreign(type=tarfile.SYMTYPE, linkname="/etc/passwd", mode=0o600),
        foreign(type=tarfile.DIRTYPE, mode=0o600),
        foreign(mode=0o600, uname="root"),
        foreign(mode=0o600, mtime=1),
        write_archive([("x" * 100, b"")]).replace(b"0000600", b"0004600"),
        GOOD[:124] + b"-0000000001" + GOOD[135:],
        GOOD[:124] + b"77777777777" + GOOD[135:],
        b"\xff" * BLOCK + GOOD,
    ],
    ids=lambda archive: f"{len(archive)}",
)
def test_an_archive_of_another_spelling_is_refused(archive):
    with pytest.raises(BadArchive):
        read_archive(archive)


@pytest.mark.parametrize("name", ["", "x" * 101, "é.json"])
def test_a_name_that_ustar_cannot_hold_is_not_written(name):
    with pytest.raises(ValueError):
        write_archive([(name, b"")])
