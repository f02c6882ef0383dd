#!/usr/bin/env bash
# Pictures of the desktop app, taken by itself on a display that nobody sees: docs/gui.png and docs/gui-demo.png for the
# README, docs/gui/ with every panel, and out/screens with every panel at three sizes and two scales, to be looked at for
# text that is cut off. The gate is that of SWITCH_MODEL=FILE, or of a toy that is trained here in seconds.
#
#   screenshots.sh PATH/TO/switchyard-gui PATH/TO/switchyard
set -euo pipefail
cd "$(dirname "$0")/.."
program=$1 switchyard=$2
screens=out/screens
all=(--size 1280x800,1920x1200,900x700 --scale 1,2)

shot() { xvfb-run -a -s "-screen 0 2560x1600x24" "$program" --device cpu "$@"; }

mkdir -p docs/gui "$screens/switch"
if [[ -z ${SWITCH_MODEL:-} ]]; then
  "$switchyard" train --preset tiny --model tiny-switch-dit-moe --out out/switch-toy --quiet
  SWITCH_MODEL=out/switch-toy/model.safetensors
fi
shot --demo docs/gui-demo.png --draw cube --seed 7 --steps 16 --size 1080x720 --theme light
shot --screenshot docs/gui.png --draw cube --seed 3 --layer 3 --mute 5 --size 1440x900
shot --screenshots "$screens" --draw cube,torus --count 2 --seed 7 --steps 16 --layer 3 --step 10 --expert 4 --patch 120 \
  --mute 5 "${all[@]}"
shot "$SWITCH_MODEL" --screenshots "$screens/switch" --draw 0 --steps 16 "${all[@]}"

for picture in "$screens"/*-1280x800-1x.png "$screens"/switch/gate-1280x800-1x.png; do
  name=$(basename "$picture")
  cp "$picture" "docs/gui/${name%-1280x800-1x.png}.png"
done
