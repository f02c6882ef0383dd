#!/usr/bin/env python3
"""Attacks the program with files and values that nobody should send it, and prints what it did.

    attack.py PROGRAM [--cases N] [--seconds S] [--seed S] [--only KIND] [--keep DIR]

A case fails where the program dies by a signal, does not end, ends with another exit code than it should, takes more memory
than 4 times its files + 200 MB, leaves something behind though it failed, or says what no terminal should be told (control
characters, nothing at all, or "terminate called"). The files of each failed case are kept in DIR. Standard library alone; SWITCHYARD_NETWORKS says where the networks of `evaluate` are."""
import argparse
import concurrent.futures
import itertools
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import cases as attacks

FAULTS = ["crashed", "hung", "wrong code", "memory", "partial file", "unclear"]
CPU_SECONDS, WALL_SECONDS, SPARE = 20, 180, 200_000_000
UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def limit():
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(program, command, folder):
    """Exit code (negative: a signal), text of both outputs, peak memory in bytes; None as the code: it did not end."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([program, *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env=environment, preexec_fn=limit)
        watchdog = threading.Timer(WALL_SECONDS, process.kill)
        watchdog.start()
        start = time.monotonic()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        watchdog.cancel()
        out.seek(0)
        text = out.read(10_000_000).decode(errors="surrogateescape")
    hung = process.returncode == -signal.SIGXCPU or time.monotonic() - start >= WALL_SECONDS
    return None if hung else process.returncode, text, usage.ru_maxrss * 1024


def faults_of(case, code, text, memory, left):
    size = case.beside + sum(len(content) for content in case.files.values())
    if code is None:
        yield "hung", f"more than {CPU_SECONDS} s"
        return
    if code < 0:
        yield "crashed", signal.Signals(-code).name
    elif code not in case.expected:
        yield "wrong code", f"{code}, expected {' or '.join(map(str, sorted(case.expected)))}"
    if memory > 4 * size + SPARE:
        yield "memory", f"{memory / 1e6:.0f} MB for files of {size / 1e6:.2f} MB"
    if code != 0 and left:
        yield "partial file", ", ".join(left)
    if UNFIT.search(text.replace("\r", "")) or "terminate called" in text or (code != 0 and not text.strip()):
        yield "unclear", repr(text[-300:])


def attempt(launchers, program, case, folder, tiny):
    given, out = folder / "in", folder / "out"
    out.mkdir(parents=True)
    for path, content in case.files.items():
        (given / path).parent.mkdir(parents=True, exist_ok=True)
        (given / path).write_bytes(content)
    places = {"{IN}": str(given), "{OUT}": str(out), "{TINY}": str(tiny)}
    command = []
    for word in case.command:
        for place, path in places.items():
            word = word.replace(place, path)
        command.append(word)
    code, text, memory = launchers.submit(run, program, command, folder).result()
    left = sorted(str(path.relative_to(folder)) for path in out.rglob("*") if path.is_file())
    left += sorted(str(path.relative_to(folder)) for path in given.rglob("*.tmp*"))
    return code, text, memory, left, command


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--cases", type=int, default=1500, help="so many mutations and values; the crafted ones come on top")
    parser.add_argument("--seconds", type=float, default=1800, help="ends after so long, and says what was not tried")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=attacks.KINDS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=pathlib.Path, help="where the files of failed cases go; default: nowhere")
    given = parser.parse_args()
    program = str(given.program.resolve())
    end = time.monotonic() + given.seconds

    # The peak of a process counts that of the one that it was forked from: these are forked while this one is small.
    launchers = concurrent.futures.ProcessPoolExecutor(given.jobs)
    with tempfile.TemporaryDirectory(prefix="attack-") as scratch, launchers:
        scratch = pathlib.Path(scratch)
        tiny = scratch / "tiny"
        tiny.mkdir()

        def good(*command):
            code, text, _ = launchers.submit(run, program, command, tiny).result()
            if code != 0:
                sys.exit(f"{shlex.join(command)} failed with {code}: {text}")

        attacks.set_up(good, tiny)
        kinds = [given.only] if given.only else list(attacks.KINDS)
        print(f"seed {given.seed}, kept: {given.keep or 'nothing (see --keep)'}", flush=True)
        table, number, failed, untried = {}, 0, 0, 0
        with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
            for kind in kinds:
                # A kind's cases depend on the seed alone, not on which kinds came before.
                cases = attacks.KINDS[kind](tiny, random.Random(f"{given.seed} {kind}"), given.cases // len(kinds))
                table[kind] = dict.fromkeys(["tried", *FAULTS], 0)

                def one(numbered):
                    index, case = numbered
                    if time.monotonic() > end:
                        return case, None, None
                    folder = scratch / f"case-{index}"
                    code, text, memory, left, command = attempt(launchers, program, case, folder, tiny)
                    faults = list(faults_of(case, code, text, memory, left))
                    if faults and given.keep:
                        shutil.copytree(folder, given.keep / f"{kind}-{index}", dirs_exist_ok=True)
                    shutil.rmtree(folder)
                    return case, faults, (index, command, text)

                numbered = enumerate(cases, number)
                while some := list(itertools.islice(numbered, 32)):  # not all of their files in memory
                    for case, faults, what in pool.map(one, some):
                        number += 1
                        if faults is None:
                            untried += 1
                            continue
                        table[kind]["tried"] += 1
                        failed += bool(faults)
                        for fault, detail in faults:
                            table[kind][fault] += 1
                            print(f"{what[0]} {case.kind}, {case.name}: {fault}, {detail}\n  {shlex.join(what[1])}\n"
                                  f"  {what[2].strip()[-300:]!r}", flush=True)
    columns = ["tried", *FAULTS]
    print(f"{'':14}" + "".join(f"{column:>14}" for column in columns))
    for kind, row in table.items():
        print(f"{kind:14}" + "".join(f"{row[column]:>14}" for column in columns))
    print(f"{'all':14}" + "".join(f"{sum(row[column] for row in table.values()):>14}" for column in columns))
    if untried:
        print(f"{untried} cases were not tried: {given.seconds:g} s are over")
    sys.exit(1 if failed or untried else 0)


if __name__ == "__main__":
    main()
