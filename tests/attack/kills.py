#!/usr/bin/env python3
"""Kills `sample`, `train`, `convert` and the other commands again and again, by KILL, TERM, INT and HUP, and looks at what is left.

    kills.py PROGRAM [--seed N] [--sample N] [--train N] [--convert N] [--others N]

Half of the signals come at any moment of a run, half when a temporary file has just appeared. After each: every file is
whole and equal to that of an unbroken run, KILL alone leaves temporaries, and the next run removes them. A stop takes
no longer than a second (twice that here: the machine may be busy), training apart, which writes its checkpoint. In the
end the trainings' models and sheets are those of an unbroken run, byte for byte. SWITCHYARD_NETWORKS says where the
networks of `evaluate` are.
"""
import argparse
import json
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
MOST_SECONDS = 120  # of one run
STOP_SECONDS = 2.0
TINY = ["--preset", "tiny", "--images", "160", "--images-per-sheet", "80", "--checkpoint-seconds", "0"]


def is_temporary(file):
    return file.name.startswith(".switchyard-")


def files_of(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


def is_whole(file):
    data = file.read_bytes()
    if file.suffix == ".png":
        return data.endswith(b"\0\0\0\0IEND\xaeB`\x82")
    if file.suffix == ".safetensors":
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        return len(data) == 8 + length + max(ends, default=0)
    return True


class Table:
    """One command's kills."""

    def __init__(self, command, program, work, random_):
        self.command, self.program, self.work, self.random = command, program, work, random_
        self.kills = dict.fromkeys(SIGNALS, 0)
        self.finished = self.at_temporaries = 0
        self.slowest = 0.0
        self.problems = []

    def problem(self, text):
        self.problems.append(f"{self.command}: {text}")
        print("PROBLEM", self.problems[-1], flush=True)

    def launch(self, arguments):
        return subprocess.Popen([self.program, *arguments], cwd=self.work, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def unbroken(self, arguments):
        """Runs to the end; how long it took."""
        start = time.monotonic()
        process = self.launch(arguments)
        said = process.communicate(timeout=MOST_SECONDS)[1]
        if process.returncode != 0:
            sys.exit(f"{self.command}: the unbroken run failed with {process.returncode}: {said}")
        return time.monotonic() - start

    def broken(self, arguments, seconds, folder):
        """Runs, and kills it at a random moment of `seconds`; its exit code, whether a signal was sent, what it said."""
        kind = SIGNALS[sum(self.kills.values()) % len(SIGNALS)]
        at_temporary = self.random.random() < 0.5
        moment = time.monotonic() + self.random.uniform(0.0, 1.1) * seconds
        sight = self.random.randint(1, 6)  # how many temporaries to let pass
        before = {file.name for file in files_of(folder) if is_temporary(file)} if folder.exists() else set()
        seen = set(before)
        process = self.launch(arguments)
        give_up = time.monotonic() + MOST_SECONDS
        while process.poll() is None:
            if at_temporary:
                new = {file.name for file in folder.glob(".switchyard-*")} - seen if folder.exists() else set()
                seen |= new
                sight -= len(new)
                if sight <= 0:
                    self.at_temporaries += 1
                    break
            elif time.monotonic() >= moment:
                break
            if time.monotonic() > give_up:
                self.problem("hung")
                break
            time.sleep(0.0002)
        sent = time.monotonic()
        was_sent = process.poll() is None
        if was_sent:
            process.send_signal(kind)
            self.kills[kind] += 1
        else:
            self.finished += 1
        try:
            said = process.communicate(timeout=MOST_SECONDS)[1]
        except subprocess.TimeoutExpired:
            self.problem(f"went on after {kind.name}")
            process.kill()
            said = process.communicate()[1]
        code = process.returncode
        if was_sent and kind != signal.SIGKILL:
            taken = time.monotonic() - sent
            self.slowest = max(self.slowest, taken)
            if taken > STOP_SECONDS and self.command != "train":
                self.problem(f"stopped {taken:.1f} s after {kind.name}")
        # A signal before the program's first line has its usual effect: nothing has been done then.
        expected = {0, 130, -kind} if was_sent and kind != signal.SIGKILL else {0, -kind} if was_sent else {0}
        if code not in expected:
            self.problem(f"exit code {code} after {kind.name}: {said}")
        for file in files_of(folder) if folder.exists() else []:
            if is_temporary(file):
                # Those of an earlier kill stay where a run ends before it has looked at its folder.
                if code != -signal.SIGKILL and (code == 0 or file.name not in before):
                    self.problem(f"{file.name} is left by a run that ended with {code}")
            elif not is_whole(file):
                self.problem(f"{file.name} is not whole")
        return code

    def same(self, folder, reference, names=None, all_of_them=True):
        """Whether the folder's files are those of the unbroken run."""
        there = {str(file.relative_to(folder)) for file in files_of(folder) if not is_temporary(file)}
        wanted = {str(file.relative_to(reference)) for file in files_of(reference)}
        if names is not None:
            there, wanted = ({name for name in some if names(name)} for some in (there, wanted))
        for name in sorted(there ^ wanted if all_of_them else there - wanted):
            self.problem(f"{name} is {'missing' if name in wanted else 'there, unlike in the unbroken run'}")
        for name in sorted(there & wanted):
            if (folder / name).read_bytes() != (reference / name).read_bytes():
                self.problem(f"{name} differs from the unbroken run's")

    def without_temporaries(self, folder):
        for file in files_of(folder):
            if is_temporary(file):
                self.problem(f"{file.name} is left after a whole run")

    def row(self):
        kills = "  ".join(f"{kind.name[3:]} {count:3}" for kind, count in self.kills.items())
        return (f"{self.command:8} kills {sum(self.kills.values()):3} ({kills})  at temporaries {self.at_temporaries:3}  "
                f"finished {self.finished:3}  slowest stop {self.slowest:.2f} s  problems {len(self.problems)}")


def attack_folder(table, arguments, count, of_a_part=None):
    """`count` kills of a command that fills a folder, the next run going on in what is left. of_a_part: which files must
    then be those of the unbroken run already, by name; None: all that are there."""
    reference, folder = table.work / f"{arguments.__name__}-unbroken", table.work / f"{arguments.__name__}-broken"
    for each in reference, folder:
        each.mkdir()
    seconds = table.unbroken(arguments(reference))
    wanted = sum(table.kills.values()) + count
    while sum(table.kills.values()) < wanted:
        if table.broken(arguments(folder), seconds, folder) == 0:
            table.same(folder, reference)
            shutil.rmtree(folder)
            folder.mkdir()
        else:
            table.same(folder, reference, of_a_part, all_of_them=False)
    table.unbroken(arguments(folder))
    table.same(folder, reference)
    table.without_temporaries(folder)


def attack_sample(table, model, count):
    def drawn(folder):
        return ["sample", "--model", model, "--count", "2", "--steps", "20", "--out", str(folder), "--grid",
                f"{folder}/grid.png", "--map", f"{folder}/map.png", "--routing", f"{folder}/routing.npz"]

    def as_set(folder):
        return ["sample", "--model", model, "--count", "60", "--steps", "20", "--set", f"{folder}/set", "--npz",
                f"{folder}/set.npz"]

    for arguments in drawn, as_set:
        attack_folder(table, arguments, count // 2, lambda name: name != "set/set.json")


def attack_train(table, count):
    def arguments(folder):
        return ["train", *TINY, "--out", str(folder)]

    def compared(name):  # the log has its own speed, the checkpoint before is that of any earlier moment
        return name == "model.safetensors" or name == "checkpoint.safetensors" or name.endswith(".png")

    reference, folder = table.work / "train-unbroken", table.work / "train-broken"
    seconds = table.unbroken(arguments(reference))
    while sum(table.kills.values()) < count:
        if table.broken(arguments(folder), seconds, folder) == 0:
            table.same(folder, reference, compared)
            table.without_temporaries(folder)
            shutil.rmtree(folder)
    table.unbroken(arguments(folder))
    table.same(folder, reference, compared)
    table.without_temporaries(folder)


def attack_convert(table, model, count):
    def converted(folder):
        return ["convert", model, f"{folder}/out.safetensors", "--dtype", "fp32"]

    attack_folder(table, converted, count)


def attack_others(table, model, count):
    """`evaluate`, `merge`, `info` and `dataset`, a quarter each."""
    def evaluated(folder):
        return ["evaluate", "--model", model, "--steps", "1", "--count", "40", "--reference", "solids", "--reference-count",
                "40", "--resamples", "0", "--keep", f"{folder}/kept", "--json", f"{folder}/numbers.json"]

    def merged(folder):
        return ["merge", "drawn", "--npz", f"{folder}/set.npz"]

    def listed(_):
        return ["info", "--tensors", "large.safetensors"]

    def rendered(folder):
        return ["dataset", "--sheet", f"{folder}/sheet.png", "--per-class", "40"]

    table.unbroken(["sample", "--model", model, "--count", "300", "--steps", "1", "--set", "drawn"])
    table.unbroken(["convert", "--dtype", "fp32", model, "large.safetensors"])
    for arguments in evaluated, merged, listed, rendered:
        attack_folder(table, arguments, count // 4, lambda file: not file.startswith("kept/"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    for command, usual in ("sample", 100), ("train", 100), ("convert", 50), ("others", 60):
        parser.add_argument(f"--{command}", type=int, default=usual, help="how many kills")
    options = parser.parse_args()
    # In the background of a script they may be ignored, which the programs would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="switchyard-kills-") as work:
        work = pathlib.Path(work)
        tables = [Table(command, options.program.resolve(), work, random.Random(options.seed))
                  for command in ("sample", "train", "convert", "others")]
        sample, train, convert, others = tables
        train.unbroken(["train", "--preset", "tiny", "--images-per-sheet", "0", "--out", "tiny"])
        attack_sample(sample, "tiny/model.safetensors", options.sample)
        print(sample.row(), flush=True)
        attack_train(train, options.train)
        print(train.row(), flush=True)
        attack_convert(convert, "tiny/model.safetensors", options.convert)
        print(convert.row(), flush=True)
        attack_others(others, "tiny/model.safetensors", options.others)
        print(others.row(), flush=True)
    sys.exit(1 if any(table.problems for table in tables) else 0)


if __name__ == "__main__":
    main()
