"""Commands to mosquitto's dynamic security plugin, over the manager's own connection."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from protocol import access
from server.broker.link import ANSWER_S, Link
from server.broker.problem import BrokerProblem

BATCH = 25  # commands in a message: some 15 kB, where the broker takes 64
PAGE = 50
SETTLED = frozenset({"Role already exists", "Client already exists", "Client not found", "Role not found"})
"""What the plugin says to a command whose wish is already so."""

_PLUGIN = (
    "mosquitto.conf must load it (`plugin` and `plugin_opt_config_file`): write it anew with"
    " `thuisloket-provision broker write`, and start mosquitto anew"
)

Command = Mapping[str, object]


class Control:
    """`link` is open and is the manager's. BrokerProblem not-manager when the broker does not listen to
    it.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        if link.subscribe(access.CONTROL_ANSWER) != [1]:
            raise BrokerProblem(
                "not-manager",
                f"the broker does not take {access.ADMIN!r} as its manager: it needs the dynamic security "
                "plugin and the first dynsec.json that `thuisloket-provision` writes",
            )

    def do(self, commands: Sequence[Command]) -> None:
        """All of them, in order; what is already so is let be. BrokerProblem command-refused."""
        for start in range(0, len(commands), BATCH):
            for answer in self._ask(commands[start : start + BATCH]):
                error = answer.get("error")
                if error is not None and error not in SETTLED:
                    raise BrokerProblem("command-refused", f"{answer.get('command')}: {error}")

    def clients(self) -> dict[str, list[str]]:
        """Every client the broker knows, with its roles."""
        return {
            str(entry["username"]): [str(role["rolename"]) for role in entry.get("roles", [])]
            for entry in self._all("listClients", "clients")
        }

    def roles(self) -> dict[str, list[dict[str, Any]]]:
        """Every role with its rules."""
        return {str(entry["rolename"]): entry.get("acls", []) for entry in self._all("listRoles", "roles")}

    def _all(self, command: str, what: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            asked = {"command": command, "verbose": True, "count": PAGE, "offset": offset}
            data = self._ask([asked])[0].get("data", {})
            page = data.get(what, [])
            yield from page
            offset += len(page)
            if not page or offset >= data.get("totalCount", 0):
                return

    def _ask(self, commands: Sequence[Command]) -> list[dict[str, Any]]:
        if self._link.publish(access.CONTROL, json.dumps({"commands": commands}).encode()) not in (0, 0x10):
            raise BrokerProblem(
                "not-manager", f"the broker refuses commands of the fleet's manager; {_PLUGIN}"
            )
        answers: list[dict[str, Any]] = []
        while len(answers) < len(commands):
            heard = self._link.hear(ANSWER_S)
            if heard is None:
                raise BrokerProblem("no-answer", f"the dynamic security plugin does not answer; {_PLUGIN}")
            try:
                answers += json.loads(heard.payload)["responses"]
            except (ValueError, KeyError, TypeError) as problem:
                raise BrokerProblem("bad-answer", "not an answer of the dynamic security plugin") from problem
        return answers
