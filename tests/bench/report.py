"""Results of a benchmark: .bench/NAME.json, a table, and .bench/NAME.png."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / ".bench"

# system -> metric -> (values of all rounds, unit)
Samples = Mapping[str, Mapping[str, tuple[Sequence[float], str]]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """`over` of one system divided by that of another, both medians."""

    system: str
    other: str
    metric: str


def machine() -> str:
    """Return what was measured on: ratios within a run hold elsewhere, absolute figures do not."""
    return f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs"


def document(name: str, rounds: int, samples: Samples, ratios: Sequence[Ratio]) -> dict[str, Any]:
    """Return the JSON document of one benchmark."""
    results = {
        system: {
            metric: {"median": median(values), "min": min(values), "max": max(values), "unit": unit}
            for metric, (values, unit) in metrics.items()
        }
        for system, metrics in samples.items()
    }
    named = {}
    for ratio in ratios:
        mine, theirs = results[ratio.system][ratio.metric], results[ratio.other][ratio.metric]
        named[f"{ratio.system}/{ratio.other} {ratio.metric}"] = round(mine["median"] / theirs["median"], 3)
    return {"name": name, "machine": machine(), "rounds": rounds, "results": results, "ratios": named}


def table(doc: Mapping[str, Any]) -> str:
    """Return a document as lines for people."""
    lines = [f"{doc['name']}: {doc['machine']}, {doc['rounds']} rounds", ""]
    for system, metrics in doc["results"].items():
        for metric, value in metrics.items():
            spread = f"{value['min']:.4g} .. {value['max']:.4g}"
            lines.append(f"  {system:<16} {metric:<28} {value['median']:>12.4g} {value['unit']:<8} {spread}")
    lines += ["", *(f"  {name}: {value:.2f}" for name, value in doc["ratios"].items())]
    return "\n".join(lines)


def publish(name: str, rounds: int, samples: Samples, ratios: Sequence[Ratio] = ()) -> None:
    """Write, print and draw one benchmark."""
    doc = document(name, rounds, samples, ratios)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(doc, indent=2) + "\n")
    print(table(doc))
    _draw(doc, FOLDER / f"{name}.png")


def _draw(doc: Mapping[str, Any], file: Path) -> None:
    """One panel per metric, one bar per system, whiskers from least to most."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    metrics = list(dict.fromkeys(metric for values in doc["results"].values() for metric in values))
    figure, panels = pyplot.subplots(len(metrics), 1, figsize=(8, 1.2 + 1.6 * len(metrics)), squeeze=False)
    for metric, panel in zip(metrics, panels[:, 0], strict=True):
        shown = {system: values[metric] for system, values in doc["results"].items() if metric in values}
        medians = [value["median"] for value in shown.values()]
        low = [value["median"] - value["min"] for value in shown.values()]
        high = [value["max"] - value["median"] for value in shown.values()]
        panel.barh(list(shown), medians, xerr=[low, high], capsize=3)
        panel.set_title(f"{metric} ({next(iter(shown.values()))['unit']})", loc="left", fontsize=10)
        panel.invert_yaxis()
    figure.suptitle(f"{doc['name']}: {doc['rounds']} rounds, {doc['machine']}", fontsize=9)
    figure.tight_layout()
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
