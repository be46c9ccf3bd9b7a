#!/bin/sh
# Puts everything Python into .venv from the committed lock: `python.sh demo` or `python.sh test` (with the dev tools).
# uv comes from the package index with its hashes pinned (uv.txt), and obeys the index and certificate settings of pip.
set -eu

case "${1:-}" in
    demo) groups="--no-default-groups --inexact" ;; # --inexact: what the tests have put there stays
    test) groups="" ;;
    *) echo "usage: python.sh demo|test" >&2; exit 2 ;;
esac
here=$(dirname "$0")
began=$(date +%s)

# A machine behind a mirror tells pip, not uv: pass it on, with the machine's own certificates.
export UV_SYSTEM_CERTS=1 UV_PYTHON_DOWNLOADS=never
# Compiled here once: a program that may not write beside its sources (another user's folder, a container with
# PYTHONDONTWRITEBYTECODE) would compile all of SQLAlchemy at every start, two seconds of processor time each.
export UV_COMPILE_BYTECODE=1
[ -z "${PIP_CERT:-}" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"

if [ ! -x .venv-uv/bin/uv ] || ! cmp -s "$here/uv.txt" .venv-uv/uv.txt; then
    echo "setup: fetching uv"
    rm -rf .venv-uv
    python3 -m venv .venv-uv
    .venv-uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$here/uv.txt"
    cp "$here/uv.txt" .venv-uv/uv.txt
fi
uv=.venv-uv/bin/uv

mirror=${PIP_INDEX_URL:-$(.venv-uv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
mirror=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-$mirror}}

echo "setup: Python packages from the lock (pyscard is compiled, the rest are wheels)"
# shellcheck disable=SC2086  # a list of options
if [ -z "$mirror" ]; then
    $uv sync --frozen --quiet --python python3 $groups
else
    # The lock names the files of the public index; a mirror has the same files (the hashes say so) elsewhere.
    [ -x .venv/bin/python ] || $uv venv --quiet --python python3 .venv
    list=$(mktemp)
    trap 'rm -f "$list"' EXIT
    $uv export --frozen --quiet --no-emit-project ${groups%--inexact} >"$list"
    UV_DEFAULT_INDEX=$mirror $uv pip install --quiet --python .venv/bin/python --require-hashes -r "$list"
    UV_DEFAULT_INDEX=$mirror $uv pip install --quiet --python .venv/bin/python --no-deps -e .
fi
.venv/bin/python -m compileall -q -j 0 protocol look device server provisioning competent
echo "setup: Python packages ready in $(($(date +%s) - began)) s"
