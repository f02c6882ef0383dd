#!/usr/bin/env bash
# Measures one model over a grid of solvers, steps and guidance scales: a table (Markdown and JSON) and plots in OUT.
# What was measured already is not drawn again, so that it can be stopped at any time and started again.
#
#   app/evaluate.sh OUT [MODEL [MORE ...]]     MORE: further options of `switchyard evaluate`
#
# SOLVERS, STEPS and GUIDANCE are lists; COUNT images are drawn for each cell; REFERENCE is what they are compared with.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
switchyard=${SWITCHYARD:-$here/build/app/cli/switchyard}
python=${PYTHON:-$here/.plots/bin/python}
out=${1:?usage: app/evaluate.sh OUT [MODEL [MORE ...]]}
model=${2:-}
shift $(($# < 2 ? $# : 2))
read -ra solvers <<<"${SOLVERS:-euler heun midpoint dpmpp_2m unipc euler_stochastic}"
read -ra steps <<<"${STEPS:-5 10 20 40}"
read -ra scales <<<"${GUIDANCE:-1 1.5 2}"
count=${COUNT:-200}
reference=${REFERENCE:-solids}

[[ -n ${PYTHON:-} ]] || "$here/tools/setup.sh" plots
[[ -x $switchyard ]] || { echo "$switchyard is not there: run make evaluate" >&2; exit 2; }
mkdir -p "$out/cells"
common=(--count "$count" --quiet "$@")
[[ -n $model ]] && common+=(--model "$model")

# The reference's features once, not once per cell.
[[ -f $out/reference.npz ]] || "$switchyard" evaluate "$reference" --count "${REFERENCE_COUNT:-2000}" \
  --save-reference "$out/reference.npz" --quiet >/dev/null

cells=$((${#solvers[@]} * ${#steps[@]} * ${#scales[@]}))
done=0 drawn=0 start=$SECONDS
for solver in "${solvers[@]}"; do
  for step in "${steps[@]}"; do
    for scale in "${scales[@]}"; do
      done=$((done + 1))
      cell=$out/cells/$solver-$step-$scale
      [[ -f $cell.json ]] && continue
      left=$((drawn > 0 ? (SECONDS - start) * (cells - done + 1) / drawn / 60 : 0))
      echo "$done/$cells: $solver, $step steps, guidance $scale$( ((drawn > 0)) && echo ", $left min left")" >&2
      "$switchyard" evaluate "${common[@]}" --solver "$solver" --steps "$step" --guidance "$scale" \
        --reference "$out/reference.npz" --keep "$cell.features" --json "$cell.json" >/dev/null
      rm -r "$cell.features"
      drawn=$((drawn + 1))
    done
  done
done
exec "$python" "$here/app/evaluate_table.py" "$out"
