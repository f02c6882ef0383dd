#!/usr/bin/env python3
"""Runs `sample`, `train`, `info` and `convert` with less and less address space, and looks at how they end.

    memory_ladder.py PROGRAM [--steps N] [--only TEXT] [--threads N ...]

Each rung of a ladder is a limit (RLIMIT_AS) between --from and what the command needs. Each must end with 0 or 4 (out of
memory), say so in a sentence, and leave nothing half-written. Where the limit is too small for the libraries themselves,
the system's loader ends the program with 127 before its first instruction; these rungs are counted apart.
"""
import argparse
import collections
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import threading
import time

MEGABYTE = 1_000_000
MOST_SECONDS = 300  # of one run
SAMPLE = ["sample", "--class", "cube", "--count", "2", "--steps", "2", "--batch", "20", "--out", "{OUT}"]
TRAIN = ["train", "--preset", "tiny", "--images", "64", "--images-per-sheet", "64", "--out", "{OUT}/run"]
LADDERS = {
    **{f"sample {dtype}": [*SAMPLE, "--dtype", dtype] for dtype in ("fp32", "bf16", "int8")},
    "train fp32": TRAIN,
    "info": ["info"],
    **{f"convert {dtype}": ["convert", "{MODEL}", "{OUT}/out.safetensors", "--dtype", dtype]
       for dtype in ("fp32", "bf16", "fp16")},
}


def address_space(process):
    """Its largest so far, in bytes; 0 once it has ended."""
    try:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text(errors="replace")
    except OSError:
        return 0
    return max((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmPeak")), default=0)


def run(program, command, folder, threads, model, limit=None):
    """Exit code (negative: a signal; None: it did not end), what it said, its largest address space in bytes."""
    out = folder / "out"
    out.mkdir(parents=True)
    command = [word.replace("{OUT}", str(out)).replace("{MODEL}", str(model)) for word in command]
    process = subprocess.Popen(
        [program, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        errors="surrogateescape", env=os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"},
        preexec_fn=lambda: (resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
                            limit and resource.setrlimit(resource.RLIMIT_AS, (limit, limit))))
    peak = 0

    def watch():
        nonlocal peak
        while process.poll() is None:
            peak = max(peak, address_space(process))
            time.sleep(0.002)

    if limit is None:
        watcher = threading.Thread(target=watch)
        watcher.start()
    try:
        said = process.communicate(timeout=MOST_SECONDS)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return None, process.communicate()[1], peak
    if limit is None:
        watcher.join()
    return process.returncode, said, peak


def climb(name, program, command, folder, threads, model, lowest, steps):
    """Problems of one ladder; prints its line."""
    code, said, needs = run(program, command, folder / "free", threads, model)
    if code == 2 and "this processor has no" in said:
        print(f"{name:14} left out: {said.strip()}", flush=True)
        return []
    if code != 0:
        sys.exit(f"{name}: without a limit it ended with {code}: {said}")
    codes, problems = collections.Counter(), []
    for rung in range(steps):
        limit = lowest + (needs - lowest) * rung // (steps - 1)
        where = folder / str(rung)
        code, said, _ = run(program, command, where, threads, model, limit)
        loader = code == 127 and "shared librar" in said
        codes["loader" if loader else code] += 1
        if code not in (0, 4) and not loader:
            problems.append(f"{name}, {threads} threads, {limit} bytes: exit {code}: {said.strip()[-300:]}")
        if code == 4 and "out of memory" not in said:
            problems.append(f"{name}, {threads} threads, {limit} bytes: does not say why: {said.strip()[-300:]}")
        left = [str(file.relative_to(where)) for file in where.rglob(".switchyard-*")]
        if left:
            problems.append(f"{name}, {threads} threads, {limit} bytes: left {', '.join(left)}")
    print(f"{name:14} {threads} threads  needs {needs / MEGABYTE:6.0f} MB  exit 0: {codes[0]:3}  exit 4: {codes[4]:3}  "
          f"loader: {codes['loader']:3}  problems: {len(problems)}", flush=True)
    for problem in problems:
        print("  PROBLEM", problem, flush=True)
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=60, help="rungs of each ladder")
    parser.add_argument("--from", type=int, default=300, dest="lowest", help="the lowest limit in MB")
    parser.add_argument("--only", default="", help="ladders with this in their name")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    problems = []
    with tempfile.TemporaryDirectory(prefix="switchyard-ladder-") as work:
        work = pathlib.Path(work)
        program = options.program.resolve()
        subprocess.run([program, "train", "--preset", "tiny", "--images", "16", "--images-per-sheet", "0", "--quiet",
                        "--out", work / "tiny"], check=True, stdout=subprocess.DEVNULL)
        for name, command in LADDERS.items():
            for threads in options.threads:
                if options.only in name:
                    problems += climb(name, program, command, work / f"{name}-{threads}", threads,
                                      work / "tiny" / "model.safetensors", options.lowest * MEGABYTE, options.steps)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
