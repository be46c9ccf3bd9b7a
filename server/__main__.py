"""The console script `thuisloket-fleet`."""

from server.command import app


def main() -> None:
    app(prog_name="thuisloket-fleet")


if __name__ == "__main__":
    main()
