#!/bin/sh
# Makes an environment unless it is there, and installs into it: PYTHON VENV ARGUMENT..., the last ones for `pip install`.
# What is missing is said in one line, with what mends it.
set -eu
python=$1 venv=$2
shift 2

fail() {
    echo "$1" >&2
    exit 6
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

is_too_old() {
    "$1" -c 'import sys; sys.exit(sys.version_info >= (3, 11))'
}

free_in() {
    df -Ph "$1" | awk 'END { print $4 }'
}

# The errors of a command: the lack of room in our words, others as they are.
explain() {
    case $1 in
        *"No space left"* | *"Disk quota"*)
            tmp=${TMPDIR:-/tmp}
            room="$(free_in "$(dirname "$venv")") are free there, $(free_in "$tmp") in $tmp"
            elsewhere="make VENV=/elsewhere/venv TMPDIR=/elsewhere demo"
            size="several gigabytes with PyTorch for NVIDIA cards, 1.3 GB with its CPU build (README, Install)"
            fail "$venv: no room for the environment, which takes $size; $room. Free some, or take another disk: $elsewhere" ;;
    esac
    echo "$1" >&2
    exit 1
}

if [ -d "$venv" ]; then
    python=$venv/bin/python
    "$python" -m pip --version >/dev/null 2>&1 || fail "$venv: no Python with pip runs there. Remove it, and it is made anew: rm -r $venv"
    again="rm -r $venv; make PYTHON=python3.11 demo"
else
    version=$(version_of "$python") ||
        fail "$python: no such Python. Install Python 3.11 or newer, or name yours: make PYTHON=python3.11 demo"
    again="make PYTHON=python3.11 demo"
fi
! is_too_old "$python" || fail "$python: is Python $(version_of "$python"), lstmlm needs 3.11 or newer. Name such a one: $again"
if ! [ -d "$venv" ]; then
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python: cannot make environments. Install its venv module: apt install python$version-venv"
    # In two steps: venv keeps to itself why pip could not be put there.
    said=$("$python" -m venv --without-pip "$venv" 2>&1 && "$venv/bin/python" -m ensurepip --default-pip 2>&1) ||
        { rm -rf "$venv"; explain "$said"; }
fi
exec 3>&1
said=$("$venv/bin/python" -m pip install --disable-pip-version-check "$@" 2>&1 >&3) || explain "$said"
[ -z "$said" ] || echo "$said" >&2
