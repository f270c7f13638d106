#!/bin/sh
# Builds a wheel, installs it alone into an environment of its own, and uses it in an empty folder: PYTHON PIP.
set -eu
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

"$2" wheel --disable-pip-version-check --no-deps --wheel-dir "$place" .
sh scripts/install.sh "$1" "$place/venv" --constraint constraints.txt "$place"/lstmlm-*.whl

mkdir "$place/empty"
cd "$place/empty"
unset PYTHONPATH
PATH=$place/venv/bin:$PATH
set -x
lstmlm config check quickstart
lstmlm config show quickstart
lstmlm data stats python-docs
lstmlm train --config quickstart --set model.backbone.hidden_size=50 --set model.embedding_size=50 \
    --set training.budget=null --set training.n_epochs=null --set training.n_steps=20
lstmlm generate "The function returns"
lstmlm next "The function returns the"
lstmlm eval perplexity
test -s "$(python -c 'import lstmlm; print(lstmlm.__path__[0])')/serving/page/index.html"
