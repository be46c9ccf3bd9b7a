"""One generation of the authority takes over from another: begin, promote, finish. No kit is ever shut out.

*Begin* makes the issuing CAs below the next root (whose key is needed, and no other), and the root after it,
for which the next one vouches. Everybody trusts the next root since the first day; broker and servers learn
its issuing CAs with the next release. *Promote* issues from the new ones: kits are renewed under them as
their certificates come of age. *Finish* ends the old generation, once nobody depends on it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509

from protocol.access import CANARIES, FRESH
from protocol.renewal import DRAWER, ROLES
from provisioning.ca import Authority
from provisioning.certificates import authority_certificate, pem
from provisioning.durable import write_whole
from provisioning.generations import (
    BRANCHES,
    ROOT_YEARS,
    AuthorityError,
    make_issuing,
    make_root,
    private_key,
    write_generations,
)


@dataclass(frozen=True)
class Dependent:
    """Who still shows a certificate of the old generation. `until` may be past: a kit in a drawer."""

    role: str
    name: str
    until: datetime


def begin(authority: Authority) -> None:
    """AuthorityError when one is under way already, or when the next root's key is not there."""
    with authority.changing():
        now = authority.generations
        if now.begun or now.former:
            raise AuthorityError("a rotation is under way already: `ca rotate show`")
        place, organisation = authority.place(now.next), _organisation(authority)
        root_key = private_key(place / "root")
        root = authority.certificate("root", now.next)
        if root_key.public_key() != root.public_key():
            raise AuthorityError(f"{place / 'root' / 'key.pem'} is not the key of the root beside it")
        after = authority.place(now.next + 1)
        make_root(after, organisation, now.next + 1)
        new = x509.load_pem_x509_certificate((after / "root" / "certificate.pem").read_bytes())
        link = authority_certificate(
            new.subject, private_key(after / "root").public_key(), root.subject, root_key, ROOT_YEARS, 1
        )
        write_whole(after / "root" / "link.pem", pem(link))
        make_issuing(place, organisation, now.next, root_key)
        write_generations(authority.folder, msgspec.structs.replace(now, begun=True))
    authority.write_crls()


def promote(authority: Authority) -> None:
    """From now on the new generation issues. AuthorityError when none was begun."""
    with authority.changing():
        now = authority.generations
        if not now.begun:
            raise AuthorityError("nothing was begun: `ca rotate begin`")
        write_generations(
            authority.folder, msgspec.structs.replace(now, present=now.next, former=now.present, begun=False)
        )


def dependents(authority: Authority, in_use: Iterable[str], now: datetime) -> list[Dependent]:
    """Who still needs the former generation, by name. `in_use`: the serials that the fleet last saw kits use:
    a kit that was issued a new certificate may not have fetched it yet."""
    turn = authority.generations
    if not turn.former:
        return []
    shown = set(in_use)
    renewed = {(entry.role, entry.name) for entry, gone in authority.issued(turn.present) if not gone}
    found: dict[tuple[str, str], Dependent] = {}
    for entry, gone in authority.issued(turn.former):
        late = DRAWER if entry.role in ROLES else timedelta(0)
        alive = not gone and entry.until + late > now and entry.name not in (*CANARIES, FRESH)
        if alive and ((entry.role, entry.name) not in renewed or entry.serial in shown):
            found[entry.role, entry.name] = Dependent(entry.role, entry.name, entry.until)
    return sorted(found.values(), key=lambda one: (one.role, one.name))


def finish(authority: Authority, in_use: Iterable[str], without: Collection[str] = ()) -> list[Dependent]:
    """End the former generation: out of every bundle, its issuing keys destroyed. Who was left behind.

    AuthorityError when somebody who is not named in `without` still depends on it."""
    waiting = dependents(authority, in_use, datetime.now(UTC))
    held_up = [one for one in waiting if one.name not in without]
    if held_up:
        names = ", ".join(f"{one.role} {one.name} (until {one.until:%Y-%m-%d})" for one in held_up)
        raise AuthorityError(f"still needed by {names}; wait, or leave them behind with `--without NAME`")
    with authority.changing():
        now = authority.generations
        if not now.former:
            raise AuthorityError("there is no former generation to end")
        write_generations(authority.folder, msgspec.structs.replace(now, former=0))
        for branch in (*BRANCHES, "root"):
            (authority.place(now.former) / branch / "key.pem").unlink(missing_ok=True)
    return waiting


def links(authority: Authority) -> bytes:
    """The vouchers that lead from a root that everybody trusts to the next one, PEM; empty before the first
    rotation."""
    files = [
        authority.place(generation) / "root" / "link.pem"
        for generation in (authority.generations.present, authority.generations.next)
    ]
    return b"".join(file.read_bytes() for file in files if file.is_file())


def _organisation(authority: Authority) -> str:
    """As it stands in the names of the CAs."""
    name = authority.certificate("root").subject.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)[0].value
    return str(name).partition(" root CA")[0]
