#!/usr/bin/env bash
# Measures the same two folders of images with pytorch-fid, torch-fidelity and `switchyard evaluate`, on two cores and with
# the same weights, and prints the three FIDs and how long each took from start to end.
#
#   bench/evaluate_beside_python.sh [FOLDER FOLDER]
#
# Without folders, COUNT images of the solids and as many of the embedded model. The weights are those in $TORCH_HOME (or
# ~/.cache/torch) if the real ones are there, else the ones that tests/fixtures/metrics/README.md gives by formula: the FID
# means nothing then, but it is the same number. The Python packages go into a virtual environment in out/ (3 GB);
# SWITCHYARD_PYTHON=PROGRAM uses another that has them. ROUNDS=3 repeats and prints the least of each.
set -euo pipefail
cd "$(dirname "$0")/.."

switchyard=${SWITCHYARD:-build/app/cli/switchyard}
work=out/evaluate-beside-python
count=${COUNT:-500}
mkdir -p "$work"

python=${SWITCHYARD_PYTHON:-$work/venv/bin/python}
if [[ -z ${SWITCHYARD_PYTHON:-} ]] && ! cmp -s bench/requirements-evaluate.txt "$work/venv/requirements.txt"; then
  echo "Installing pytorch-fid and torch-fidelity into $work/venv" >&2
  python3 -m venv "$work/venv"
  "$python" -m pip install --quiet --disable-pip-version-check -r bench/requirements-evaluate.txt
  cp bench/requirements-evaluate.txt "$work/venv/"requirements.txt
fi

if (($# == 2)); then
  folders=("$1" "$2")
else
  folders=("$work/solids" "$work/drawn")
  "$switchyard" dataset --split validation --count "$count" --export "$work/solids" --quiet >/dev/null
  # COUNT images of ten classes
  "$switchyard" sample --class all --count $((count / 10)) --seed 0 --out "$work/drawn" --quiet >/dev/null
fi

exec "$python" bench/evaluate_beside_python.py "$switchyard" "$work" "${ROUNDS:-1}" "${folders[@]}"
