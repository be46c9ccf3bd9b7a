#!/bin/sh
# Runs the given tests on Python 3.13, what the kit's operating system brings, when this machine has one.
set -eu
export UV_SYSTEM_CERTS=1 UV_PYTHON_DOWNLOADS=never
uv=.venv-uv/bin/uv
python=$($uv python find --no-project 3.13 2>/dev/null || true)
for candidate in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13.*/bin/python3.13; do
    [ -n "$python" ] || [ ! -x "$candidate" ] || python=$candidate
done
if [ -z "$python" ]; then
    echo "test-pure: no Python 3.13 on this machine; nothing was run"
    exit 0
fi
UV_PROJECT_ENVIRONMENT=.venv-3.13 $uv sync --frozen --quiet --python "$python"
exec .venv-3.13/bin/pytest "$@"
