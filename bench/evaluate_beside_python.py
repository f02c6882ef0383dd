"""The Python half of bench/evaluate_beside_python.sh."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

NAMES = {"pytorch-fid": "pt_inception-2015-12-05-6726825d.pth",
         "torch-fidelity": "weights-inception-2015-12-05-6726825d.pth"}
ROOT = pathlib.Path(__file__).resolve().parent.parent


def formula_weights(folder: pathlib.Path) -> None:
    """Both files, as torch.save writes them, by the formula of tests/fixtures/metrics/README.md."""
    import math

    import numpy as np
    import torch

    sys.path.insert(0, str(ROOT / "tools"))
    from network_fixtures import uniform

    layout = json.loads((ROOT / "tests/fixtures/metrics/inception_weights_layout.json").read_text())
    state = {}
    for entry in layout["tensors"]:
        name, shape = entry["name"], entry["shape"]
        u = uniform(name, math.prod(shape))
        if entry["dtype"] != "float32":
            state[name] = torch.zeros(shape, dtype=torch.int64)
            continue
        if name.endswith("conv.weight") or name == "fc.weight":
            value = (2 * u - 1) * (math.sqrt(3 / math.prod(shape[1:])) * 1.35)
        elif name.endswith("bn.weight"):
            value = 0.8 + 0.4 * u
        elif name.endswith("running_var"):
            value = 0.5 + u
        else:
            value = 0.1 * (2 * u - 1)
        state[name] = torch.from_numpy(value.astype(np.float32)).reshape(shape)
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES.values():
        torch.save(state, folder / name)


def torch_home(work: pathlib.Path) -> pathlib.Path:
    """Where all three programs find the weights: the user's, or a folder with ones by formula."""
    own = pathlib.Path(os.environ.get("TORCH_HOME") or pathlib.Path.home() / ".cache/torch")
    if all((own / "hub/checkpoints" / name).exists() for name in NAMES.values()):
        return own
    folder = work / "torch"
    if not (folder / "hub/checkpoints" / NAMES["torch-fidelity"]).exists():
        formula_weights(folder / "hub/checkpoints")
    return folder


def compare(switchyard: str, work: str, rounds: int, images: str, reference: str) -> None:
    home = torch_home(pathlib.Path(work))
    cores = sorted(os.sched_getaffinity(0))[:2]
    environment = os.environ | {"TORCH_HOME": str(home.resolve()), "OMP_NUM_THREADS": str(len(cores))}
    environment.pop("SWITCHYARD_NETWORKS", None)
    ours = [switchyard, "evaluate", images, "--reference", reference, "--metrics", "frechet", "--resamples", "0",
            "--device", "cpu", "--quiet", "--json", "-", "--network"]
    programs = {
        "pytorch-fid": [sys.executable, "-m", "pytorch_fid", "--device", "cpu", images, reference],
        "switchyard, pytorch-fid's convention": ours + ["inception-pytorch-fid"],
        "torch-fidelity": [sys.executable, "-m", "torch_fidelity.fidelity", "--cpu", "--fid", "--no-cache", "--silent", "--json",
                           "--samples-find-deep", "--input1", images, "--input2", reference],
        "switchyard, torch-fidelity's convention": ours + ["inception-torch-fidelity"],
    }
    fid, seconds = {}, {}
    for _ in range(rounds):  # interleaved, so that a busy minute hits all alike
        for name, command in programs.items():
            start = time.monotonic()
            run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True,
                                 preexec_fn=lambda: os.sched_setaffinity(0, cores))
            seconds[name] = min(time.monotonic() - start, seconds.get(name, float("inf")))
            if run.returncode:
                sys.exit(f"{' '.join(command)}\nfailed with exit code {run.returncode}")
            fid[name] = fid_in(run.stdout)
    weights = "the published weights" if home != pathlib.Path(work) / "torch" else "weights by formula"
    print(f"{images} against {reference}, {weights}, {len(cores)} cores, least of {rounds}")
    for name in programs:
        print(f"  {name:40} FID {fid[name]:14.6f}  {seconds[name]:8.1f} s")
    for other in NAMES:
        our = f"switchyard, {other}'s convention"
        print(f"  {other}: FID differs by {abs(fid[our] - fid[other]) / fid[other]:.1e}, "
              f"switchyard is {seconds[other] / seconds[our]:.2f} times as fast")


def fid_in(output: str) -> float:
    """What one of the programs printed: "FID:  1.5", or JSON."""
    if found := re.search(r"^FID: +(\S+)", output, re.MULTILINE):
        return float(found[1])
    numbers = json.loads(output[output.index("{"):])
    if "frechet_inception_distance" in numbers:
        return numbers["frechet_inception_distance"]
    (value,) = (m["value"] for m in numbers["numbers"] if m["metric"] == "frechet")
    return value


if __name__ == "__main__":
    _, switchyard, work, rounds, images, reference = sys.argv
    compare(switchyard, work, int(rounds), images, reference)
