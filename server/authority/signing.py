"""The authority on this machine, as a program of its own: it judges every request by itself."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

SIGN_S = 120.0
MOST = 1000  # requests at once


class AuthorityProblem(Exception):
    """The authority does not answer; `code` for logs, `remedy` for the person who must act."""

    def __init__(self, code: str, remedy: str) -> None:
        super().__init__(f"{code}: {remedy}")
        self.code = code
        self.remedy = remedy


class Requests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes to the authority."""

    requests: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kid: Annotated[str, Meta(max_length=43)]
    chain: Annotated[str, Meta(max_length=16_384)] = ""
    code: Annotated[str, Meta(pattern=r"^[a-z0-9-]{0,40}\Z")] = ""


class Answers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes back, in the order of the requests."""

    answers: Annotated[tuple[Answer, ...], Meta(max_length=MOST)]
    authorities: Annotated[str, Meta(max_length=65_536)]


def read(path: Path) -> Answers:
    """AuthorityProblem answers-unreadable."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Answers)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise AuthorityProblem(
            "answers-unreadable", f"{path}: not what `thuisloket-provision ca sign` writes ({problem})"
        ) from problem


def sign(authority: Path, requests: Sequence[str]) -> Answers:
    """Ask the authority in the folder `authority`. AuthorityProblem not-signed, answers-unreadable."""
    with tempfile.TemporaryDirectory(prefix="renewal-") as folder:  # public keys and certificates, no more
        asked, answered = Path(folder) / "requests.json", Path(folder) / "answers.json"
        asked.write_bytes(msgspec.json.encode(Requests(tuple(requests))))
        command = [sys.executable, "-m", "provisioning", "ca", "sign", str(asked)]
        command += ["--ca", str(authority), "--out", str(answered)]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=SIGN_S, check=False)
        except subprocess.TimeoutExpired as problem:
            raise AuthorityProblem("not-signed", f"the authority in {authority} took too long") from problem
        if ran.returncode:
            raise AuthorityProblem("not-signed", f"the authority in {authority}: {ran.stderr.strip()[-500:]}")
        return read(answered)
