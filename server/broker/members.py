"""The broker's clients and roles follow the fleet's kits: one each for a kit, none for what is none."""

from collections.abc import Iterable
from typing import Any

from protocol import access
from protocol.identity import KIT_ID
from server.broker.control import Command, Control


def admit(control: Control, kit_id: str) -> None:
    """From now on the kit may speak and hear under its name."""
    control.do(_added(access.kit_role(kit_id), kit_id))


def dismiss(control: Control, kit_id: str) -> None:
    """The kit may do nothing more, and a session it has ends now. Not `disableClient`: a certificate gets
    past.
    """
    control.do(
        [
            {"command": "deleteClient", "username": kit_id},
            {"command": "deleteRole", "rolename": kit_id},
        ]
    )


def agree(control: Control, kits: Iterable[str], workers: Iterable[str]) -> tuple[int, int, int]:
    """Make the broker know exactly `kits` (and the canaries), and `workers` among others; how many were
    added, removed and put right. What is no kit and not named here is let be: it is another program's."""
    wished = {kit: access.kit_role(kit) for kit in (*kits, *access.CANARIES)}
    clients, roles = control.clients(), control.roles()
    added: list[Command] = []
    righted: list[Command] = []
    for name, role in wished.items():
        if name not in clients or name not in roles:
            added += _added(role, name)
        elif not _same(roles[name], role) or clients[name] != [name]:
            righted += [_role_command("modifyRole", role), *_client_again(name)]
    gone = sorted(
        name for name in {*clients, *roles} if KIT_ID.fullmatch(name) is not None and name not in wished
    )
    worker_role = access.worker_role()
    if access.WORKER_ROLE not in roles:
        added.append(_role_command("createRole", worker_role))
    elif not _same(roles[access.WORKER_ROLE], worker_role):
        righted.append(_role_command("modifyRole", worker_role))
    added += [
        {"command": "createClient", **access.client(worker, access.WORKER_ROLE)}
        for worker in workers
        if worker not in clients
    ]
    control.do([*added, *righted])
    for name in gone:
        dismiss(control, name)
    return _roles_in(added), len(gone), _roles_in(righted)


def _added(role: access.Entry, name: str) -> list[Command]:
    return [
        _role_command("createRole", role),
        {"command": "createClient", **access.client(name, str(role["rolename"]))},
    ]


def _client_again(name: str) -> list[Command]:
    return [
        {"command": "deleteClient", "username": name},
        {"command": "createClient", **access.client(name, name)},
    ]


def _role_command(command: str, role: access.Entry) -> Command:
    return {"command": command, **role}


def _roles_in(commands: Iterable[Command]) -> int:
    return sum(str(command["command"]).endswith("Role") for command in commands)


def _same(rules: list[dict[str, Any]], role: access.Entry) -> bool:
    wished = role["acls"]
    assert isinstance(wished, list)
    return _bare(rules) == _bare(wished)


def _bare(rules: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(str(rule["acltype"]), str(rule["topic"])) for rule in rules if rule.get("allow")}
