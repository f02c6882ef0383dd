"""The table and the plots of app/evaluate.sh, from the numbers of its cells (cells/SOLVER-STEPS-GUIDANCE.json)."""
import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import NullLocator, ScalarFormatter  # noqa: E402

# How often the model is asked per step; with guidance each time counts twice.
EVALUATIONS = {"heun": 2, "midpoint": 2, "edm_heun": 2}


def cell_of(path):
    solver, steps, scale = path.stem.rsplit("-", 2)
    measured = json.loads(path.read_text())
    steps, scale = int(steps), float(scale)
    evaluations = EVALUATIONS.get(solver, 1) * steps - (solver in ("heun", "edm_heun"))
    return {
        "solver": solver,
        "steps": steps,
        "guidance": scale,
        "forwards": evaluations * (1 if scale == 1 else 2),
        "numbers": {number["metric"]: number for number in measured["numbers"]},
        "network": measured["network"]["name"],
        "images": measured["images"]["count"],
        "reference": measured["reference"],
    }


def shown(number):
    error = number["standard_error"]
    return f"{number['value']:.4g}" + (f" ± {1.96 * error:.2g}" if error else "")


def table_of(cells, metrics):
    """A Frechet distance stands beside its ratio to real against real: only those two are of equally many images."""
    first = cells[0]["numbers"]
    lines = ["| solver | steps | guidance | forwards | ratio | " + " | ".join(first[m]["name"] for m in metrics) + " |",
             "|---|" + "---:|" * (4 + len(metrics))]
    floors = ["" if m == "frechet" else f"{first[m]['real_against_real']:.4g}" for m in metrics]
    lines.append("| real against real | | | | 1 | " + " | ".join(floors) + " |")
    for c in cells:
        numbers = " | ".join(shown(c["numbers"][m]) for m in metrics)
        ratio = c["numbers"]["frechet"]["ratio"]
        lines.append(f"| {c['solver']} | {c['steps']} | {c['guidance']:g} | {c['forwards']} | {ratio:.3f} | {numbers} |")
    reference = cells[0]["reference"]
    lines.append(f"\n{cells[0]['images']} images in each cell against {reference['count']} ({pathlib.Path(reference['name']).name}), "
                 f"{cells[0]['network']}; ± is a 95 % interval, sorted by {first[metrics[0]]['name']}.")
    return "\n".join(lines) + "\n"


def apart(numbers, factor=1.3):
    """Those of the numbers that have room beside each other on a logarithmic axis."""
    chosen = []
    for number in sorted(numbers):
        if not chosen or number >= factor * chosen[-1]:
            chosen.append(number)
    return chosen


def plot(cells, metric, file):
    scales = sorted({c["guidance"] for c in cells})
    figure, axes = plt.subplots(1, len(scales), figsize=(4.5 * len(scales), 4), sharey=True, squeeze=False)
    for axis, scale in zip(axes[0], scales):
        for solver in sorted({c["solver"] for c in cells}):
            line = sorted((c for c in cells if c["solver"] == solver and c["guidance"] == scale), key=lambda c: c["forwards"])
            numbers = [c["numbers"][metric] for c in line]
            axis.errorbar([c["forwards"] for c in line], [n["value"] for n in numbers],
                          yerr=[1.96 * (n["standard_error"] or 0) for n in numbers], marker="o", markersize=4,
                          linewidth=1.2, capsize=2, label=solver)
        floor = cells[0]["numbers"][metric]["real_against_real"]
        if metric != "frechet":  # whose distance depends on the number of images
            axis.axhline(floor, color="0.5", linestyle="--", linewidth=1, label="real against real")
        axis.set_xscale("log")
        axis.set_xticks(apart({c["forwards"] for c in cells if c["guidance"] == scale}))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(f"guidance {scale:g}")
        axis.set_xlabel("forwards of the model per image")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel(cells[0]["numbers"][metric]["name"])
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.09, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncol=len(labels), fontsize=9, frameon=False)
    figure.savefig(file, dpi=100)
    plt.close(figure)


def main():
    out = pathlib.Path(sys.argv[1])
    cells = [cell_of(path) for path in sorted((out / "cells").glob("*.json"))]
    if not cells:
        sys.exit(f"{out}/cells holds no numbers")
    metrics = [m for m in ("frechet", "kernel", "precision", "recall", "class-agreement") if all(m in c["numbers"] for c in cells)]
    cells.sort(key=lambda c: c["numbers"][metrics[0]]["value"])
    (out / "table.md").write_text(table_of(cells, metrics))
    (out / "table.json").write_text(json.dumps(cells, indent=1) + "\n")
    for metric in metrics[:2]:
        plot(cells, metric, out / f"{metric}.png")
    print(out / "table.md")


if __name__ == "__main__":
    main()
