# Everything that people do with a checkout. `make demo` and `make test` work on a fresh Debian 12.

SWITCHYARD := build/app/cli/switchyard
SWITCHYARD_GUI := build/app/gui/switchyard-gui
FIXTURES ?= tests/fixtures
FUZZ_SECONDS ?= 20
CASES ?= 1500
SEED ?= 1

.PHONY: help setup setup-gui setup-evaluate configure configure-all build demo evaluate gui gui-bench screenshots test test-asan test-tsan monkey-asan monkey-tsan fuzz attack attack-kills attack-memory parity bench bench-evaluate train format
help:            ## show this list
	@sed -n 's/^\([a-z-]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: ; @tools/setup.sh
setup-gui: ; @tools/setup.sh gui
setup-evaluate: ; @tools/setup.sh evaluate

configure: setup
	@cmake --preset release >/dev/null

configure-all: setup-gui
	@cmake --preset release >/dev/null

build: configure-all ## install what is missing and build
	@cmake --build build

demo: configure  ## draw a grid of images with the embedded model, and which experts drew them
	@cmake --build build --target switchyard
	@mkdir -p out
	$(SWITCHYARD) sample --class all --count 8 --seed 0 --no-images \
	  --grid out/demo.png --columns 8 --zoom 2 --map out/demo-experts.png

evaluate: configure setup-evaluate ## measure the embedded model's images against ones that it has not learned from
	@cmake --build build --target switchyard
	$(SWITCHYARD) sample --class all --count 50 --seed 0 --out out/drawn >/dev/null
	$(SWITCHYARD) evaluate out/drawn --reference solids --reference-count 2000 --json out/evaluation.json

gui: configure-all ## open the desktop app (MODEL=FILE: with that model)
	@cmake --build build --target switchyard-gui
	$(SWITCHYARD_GUI) $(MODEL)

gui-bench: configure-all ## time the desktop app's frames, its idle window and what watching costs
	@cmake --build build --target bench_gui
	@xvfb-run -a -s "-screen 0 1280x800x24" build/bench/bench_gui

screenshots: configure-all ## take the README's pictures of the desktop app, and of every panel at every size in out/screens
	@cmake --build build --target switchyard-gui --target switchyard
	@tools/screenshots.sh $(SWITCHYARD_GUI) $(SWITCHYARD)

test: build setup-evaluate ## build and run every test
	@ctest --test-dir build --output-on-failure

test-asan: setup-gui setup-evaluate ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@cmake --preset asan >/dev/null
	@cmake --build build-asan
	@ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 ctest --test-dir build-asan --output-on-failure

test-tsan: setup ## the CUDA kernels under ThreadSanitizer, run by the emulator: a race detector for their barriers
	@cmake --preset tsan >/dev/null
	@cmake --build build-tsan --target test_emulator
	@ctest --test-dir build-tsan --output-on-failure -R '^emulator$$'

monkey-asan: setup-gui ## random events in the desktop app under ASan, UBSan and LeakSanitizer (EVENTS=10000 SEED=1)
	@cmake --preset app-asan >/dev/null
	@cmake --build build-app-asan --target monkey
	@tests/gui/monkey.sh build-app-asan/tests/gui/monkey $(or $(EVENTS),10000) $(SEED)

monkey-tsan: setup-gui ## the same under ThreadSanitizer (EVENTS=2000 SEED=1)
	@cmake --preset app-tsan >/dev/null
	@cmake --build build-app-tsan --target monkey
	@tests/gui/monkey.sh build-app-tsan/tests/gui/monkey $(or $(EVENTS),2000) $(SEED)

fuzz:            ## fuzz the readers of foreign files for FUZZ_SECONDS each (default: 20); what share of them was reached
	@tools/setup.sh fuzz
	@cmake --preset fuzz >/dev/null
	@cmake --build build-fuzz --target fuzz
	@tests/fuzz/run.sh build-fuzz $(FUZZ_SECONDS)

attack: configure setup-evaluate ## send the program 1,500 hostile files and senseless values (CASES=N); a table of what it did
	@cmake --build build --target switchyard
	@SWITCHYARD_NETWORKS=$(abspath .networks) python3 tests/attack/attack.py $(SWITCHYARD) --cases $(CASES) --keep out/attack

attack-kills: configure setup-evaluate ## kill every command at random moments and look at what is left (SEED=N)
	@cmake --build build --target switchyard
	@SWITCHYARD_NETWORKS=$(abspath .networks) tests/attack/kills.py $(SWITCHYARD) --seed $(SEED)

attack-memory: configure ## run sample, train, info and convert with less and less memory
	@cmake --build build --target switchyard
	@tests/attack/memory_ladder.py $(SWITCHYARD)

parity: build setup-evaluate ## compare with reference numbers in FIXTURES=DIR (default: tests/fixtures)
	@failed=0; for tests in build/tests/*/test_*; do [ ! -x $$tests ] || [ -d $$tests ] || \
	  SWITCHYARD_FIXTURES=$(abspath $(FIXTURES)) $$tests --gtest_filter='*Parity*' --gtest_brief=1 || failed=1; done; exit $$failed

bench: build     ## time guided steps beside the plain form and the best matrix product of this machine
	@build/bench/bench_forward

bench-evaluate: configure ## measure two folders beside pytorch-fid and torch-fidelity, and time all three (FOLDERS="A B")
	@cmake --build build --target switchyard
	@bench/evaluate_beside_python.sh $(FOLDERS)

train: build     ## train the embedded model's recipe in runs/solids (resumes by itself)
	$(SWITCHYARD) train --preset solids --out runs/solids

format:          ## format the sources
	@command -v clang-format >/dev/null || { echo "needed: apt-get install clang-format" >&2; exit 1; }
	@git ls-files '*.cc' '*.h' '*.cu' | xargs clang-format -i
