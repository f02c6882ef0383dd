#!/usr/bin/env bash
# Where the window system itself is meant: keys, sizes and the end, by xdotool on a display that nobody sees.
#
#   xvfb-run desktop_test.sh PATH/TO/switchyard-gui
set -euo pipefail

program=$1
work=$(mktemp -d)
app=
trap '[[ -z $app ]] || kill -9 "$app" 2>/dev/null; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; cat "$work/log" >&2; exit 1; }

until_true() {  # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.05
  done
}
pictures() { find "$work/saved" -name '*.png' | wc -l; }
drawn() { (($(pictures) == $1)); }
any_drawn() { (($(pictures) > 0)); }
gone() { ! kill -0 "$app" 2>/dev/null; }

start() {  # ARGUMENTS...
  mkdir -p "$work/config/switchyard" "$work/saved"
  echo "{\"save_to\": \"$work/saved\", \"hint_seen\": true}" > "$work/config/switchyard/studio.json"
  XDG_CONFIG_HOME=$work/config "$program" --size 1200x760 "$@" > "$work/log" 2>&1 &
  app=$!
  window=$(timeout 60 xdotool search --sync --onlyvisible --name '^Switchyard' | head -n 1)
  xdotool mousemove --sync 600 400 windowfocus "$window"
}

no_display() {
  local status=0
  env -u DISPLAY -u WAYLAND_DISPLAY "$program" > "$work/log" 2>&1 || status=$?
  ((status == 2)) || fail "no display: exit code $status, expected 2"
  (($(wc -l < "$work/log") == 1)) || fail "no display: expected one line"
  grep -q 'no display' "$work/log" || fail "no display: another message"
}

keys_draw() {
  start --draw cube --steps 3
  until_true 60 drawn 1 || fail "--draw: no image"
  for delay in 12 40 100; do  # ms between the events of a chord
    local before
    before=$(pictures)
    xdotool key --delay "$delay" ctrl+Return
    until_true 30 drawn $((before + 1)) || fail "Ctrl+Enter with $delay ms between its events: no image"
    sleep 1.5  # idle again
  done
}

resizing() {
  for size in '900 700' '640 480' '1180 740'; do
    xdotool windowsize --sync "$window" $size
    sleep 0.3
    [[ $(xdotool getwindowgeometry --shell "$window") == *"WIDTH=${size% *}"* ]] || fail "not of size $size"
  done
  local before
  before=$(pictures)
  xdotool key ctrl+Return
  until_true 30 drawn $((before + 1)) || fail "after the sizes: no image"
}

# Within a second on a machine with nothing else to do; the rest of the run would take minutes. With exit code 0, and no
# file that is not whole.
ends() {
  local begin
  begin=$(date +%s%N)
  until_true 30 gone || fail "$1: still there after half a minute"
  local took=$((($(date +%s%N) - begin) / 1000000))
  echo "$1: ended after $took ms"
  local status=0
  wait "$app" || status=$?
  app=
  ((status == 0)) || fail "$1: exit code $status"
  local others
  others=$(find "$work/saved" -type f ! -name '*.png')
  [[ -z $others ]] || fail "$1: left $others"
}

closing_in_a_run() {
  rm -rf "$work/saved"
  start --draw cube --steps 5 --count 500
  until_true 60 any_drawn || fail "close: nothing is drawn"
  xdotool key ctrl+q
  ends "close in a run"
  for picture in "$work"/saved/*.png; do
    [[ $(tail -c 8 "$picture" | head -c 4) == IEND ]] || fail "close in a run: $picture is not whole"
  done
}
no_display
keys_draw
resizing
xdotool key ctrl+q
ends "close at rest"
closing_in_a_run
echo "all of the window system's cases passed"
