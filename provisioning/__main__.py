"""`thuisloket-provision`: the tools of the one who sets kits and servers up."""

import os
import sys

import typer

from provisioning.broker import BrokerError
from provisioning.commands import broker, ca, kit, officer
from provisioning.demo.command import demo
from provisioning.generations import AuthorityError
from provisioning.program import ProgramRefused

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.add_typer(ca.app, name="ca")
app.add_typer(kit.app, name="kit")
app.add_typer(broker.app, name="broker")
app.add_typer(officer.app, name="officer")
app.command()(demo)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def emulate(context: typer.Context) -> None:
    """Emulated peripherals at the wire: reader, finger, signpad, camera (the rest of the line is theirs)."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "device.emulators", *context.args])  # noqa: S606  (our own program)


def main() -> None:
    try:
        app()
    except (AuthorityError, BrokerError, ProgramRefused) as problem:
        print(f"failed: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
