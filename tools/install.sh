#!/bin/sh
# install.sh VENV PYTHON SET: put tieline and the packages of SET (ready: none besides) into VENV, making it if need be.
set -eu
venv=$1 python=$2 set=$3

# Packages are quiet unless something is wrong; a person waiting for `make serve` sees what it waits for.
say() { printf '%s\n' "$*" >&2; }

case $set in
ready) what='.' ;;
*) what=".[$set]" ;;
esac

fits='import sys; sys.exit(sys.version_info < (3, 11))'
if ! "$venv/bin/python" -c "$fits" 2>/dev/null; then
    say "making $venv ..."
    if command -v uv >/dev/null; then
        "$python" -c "$fits" 2>/dev/null || python='>=3.11'
        uv venv --quiet --clear --python "$python" "$venv"
    elif "$python" -c "$fits" 2>/dev/null; then
        "$python" -m venv --clear "$venv" ||
            { say "$python has no venv module (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
    else
        say "Tieline needs Python 3.11 or newer, and '$python' is not; install one, or say which:"
        say "    make PYTHON=/path/to/python3"
        exit 1
    fi
fi

say "installing packages into $venv ..."
if command -v uv >/dev/null; then
    uv pip install --quiet --python "$venv/bin/python" --editable "$what"
else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$what"
fi
