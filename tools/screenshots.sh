#!/usr/bin/env bash
# Pictures of the desktop app, taken by itself on a display that nobody sees: docs/gui.png and docs/gui-demo.png for the
# README, docs/gui/ with every panel, and out/screens with every panel at three sizes and two scales, to be looked at for
# text that is cut off.
#
#   screenshots.sh PATH/TO/switchyard-gui
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1
panels=(Generate Surgery Queue Canvas Gallery "Patch map" "Timestep map" Atlas Flow Rank
        "Patches of an expert" "What if" "Content or place")

shot() { xvfb-run -a -s "-screen 0 2560x1600x24" "$program" --device cpu "$@"; }
named() { tr 'A-Z ' 'a-z-' <<< "$1"; }

mkdir -p docs/gui out/screens
shot --demo docs/gui-demo.png --draw cube --seed 7 --steps 16 --size 1000x640 --theme light
shot --screenshot docs/gui.png --draw cube --seed 3 --layer 3 --mute 5 --size 1440x900
for panel in "${panels[@]}"; do
  name=$(named "$panel")
  shot --screenshot "docs/gui/$name.png" --draw torus --seed 7 --steps 16 --layer 3 --step 10 \
    --show "$panel" --size 1280x800
  for size in 1280x800 1920x1200 900x700; do
    for scale in 1 2; do
      shot --screenshot "out/screens/$name-$size-$scale.png" --draw torus --seed 7 --steps 8 --layer 3 --step 5 \
        --show "$panel" --size "$size" --scale "$scale"
    done
  done
done
