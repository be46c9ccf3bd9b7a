#!/bin/sh
# Runs the given tests on Python 3.13, what the kit's operating system brings, when this machine has one.
set -eu
export UV_SYSTEM_CERTS=1 UV_PYTHON_DOWNLOADS=never
uv=.venv-uv/bin/uv
if ! python=$($uv python find 3.13 2>/dev/null); then
    echo "test-pure: no Python 3.13 on this machine; the tests ran on $(.venv/bin/python --version) alone"
    exit 0
fi
UV_PROJECT_ENVIRONMENT=.venv-3.13 $uv sync --frozen --quiet --python "$python"
exec .venv-3.13/bin/pytest "$@"
