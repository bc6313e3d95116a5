#!/bin/sh
# The project's own tests: what they need that PyPI has not, then linters, then pytest. Called by `make test`.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
passed=.venv/.tested # the fingerprint of the tree that passed last

fingerprint() {
    git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null | sha256sum
}

if [ -z "${CI:-}${AGAIN:-}${ARGS:-}" ] && [ "$(cat $passed 2>/dev/null)" = "$(fingerprint)" ]; then
    echo "Nothing has changed since all tests passed ($(date -r $passed)). To run them all the same: make test AGAIN=1"
    exit 0
fi

# Real programs from Debian, where we may install them; elsewhere the tests that need one say so.
missing=""
command -v prometheus >/dev/null && command -v promtool >/dev/null || missing="$missing prometheus"
command -v chromium >/dev/null || missing="$missing chromium"
command -v tmux >/dev/null || missing="$missing tmux"
command -v less >/dev/null || missing="$missing less"
command -v git >/dev/null || missing="$missing git"
command -v kubectl >/dev/null || missing="$missing kubernetes-client"
command -v ip >/dev/null || missing="$missing iproute2"
command -v nft >/dev/null || missing="$missing nftables"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi
if command -v npm >/dev/null && [ ! -e tests/browser/node_modules/.package-lock.json ]; then
    (cd tests/browser && npm ci --silent --no-audit --no-fund --ignore-scripts)
fi
# Built once, then kept. Where a toolchain is missing the tests that need it say so; in CI that is a failure.
"$python" -m tests.real.kubernetes build || test -z "${CI:-}"
"$python" -m tests.real.service build || test -z "${CI:-}"
"$python" -m tests.real.python_service build || test -z "${CI:-}"
"$python" -m tests.real.sdks prepare || test -z "${CI:-}"
"$python" -m tests.real.clients prepare || test -z "${CI:-}"

"$python" -m ruff check .
"$python" -m ruff format --check .
"$python" -m mypy
# shellcheck disable=SC2086 # arguments of the caller
"$python" -m pytest tests -p randomly -m "not real" -n auto -q ${ARGS:-}
# shellcheck disable=SC2086
"$python" -m pytest tests -p randomly -m real -q ${ARGS:-}

if [ -z "${ARGS:-}" ]; then fingerprint >$passed; fi
