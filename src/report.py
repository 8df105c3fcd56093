"""One page that tells a run: what came out, where it fails, how it was trained, how to repeat it.

The page is `report.html` in the run folder; pictures lie within it, and nothing is loaded.
"""

from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from src.files import write_whole
from src.summary import facts

# Heading, then name and caption of each picture below it.
SECTIONS: dict[str, dict[str, str]] = {
    "How it went": {"curves": "Loss and score; dotted, if a metric has chosen: the epoch kept."},
    "Where it fails": {
        "worst_mistakes": "Mistakes that gave the truth the least chance.",
        "confusion_matrix": "How often each class (row) was taken for each (column).",
        "confused_pairs": "The classes that are taken for others most often.",
        "class_scores": "Precision, recall and F1 of each class.",
        "reliability": "How often it is right, by how sure it says it is.",
        "predicted_vs_true": "Predictions over targets; right on the diagonal.",
        "residuals": "What is left unexplained; a pattern is something still to be learned.",
    },
    "What it learned": {
        "line_fit": "The line at times of the training, the last one bold.",
        "loss_surface": "The way of gradient descent to where algebra puts the least error.",
        "first_layer": "The weights of the first layer: what each unit looks for.",
        "feature_maps": "What the convolutions make of one test image.",
        "predictions": "Test images at random; mistakes are in orange.",
    },
    "How it was trained": {
        "learning_rate": "The learning rate.",
        "gradients": "The size of the gradient by layer: far apart, they learn at different pace.",
        "units": "Dead units and saturated values, which pass on no gradient.",
    },
}


def write_report(
    folder: Path, results: dict[str, Any], changes: dict[str, tuple[Any, Any]]
) -> Path:
    """Write the page into a run folder, with the pictures that are there, and return its path.

    Args:
        folder: The run's, with its pictures in `figures/`.
        results: What `results.json` holds.
        changes: Value and default of each setting that is not its default.
    """
    path, git = folder / "report.html", results["git"] or {}
    place = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=place, autoescape=True, undefined=StrictUndefined)
    text = template.get_template("report.html").render(
        title=f"{results['model']} on {results['dataset']['name']}",
        verdict=verdict(results),
        is_fallback="NOT MNIST" in results["dataset"]["source"],
        results=results,
        facts=facts(results),
        sections=[*_sections(folder / "figures")],
        changes=changes,
        commit=git.get("commit"),
        dirty=git.get("dirty", False),
        circumstances=_circumstances(results),
    )
    write_whole(path, text)
    return path


def verdict(results: dict[str, Any]) -> str:
    """Return the result in a few words, e.g. `98.44 % of 10,000 test examples right`."""
    metrics, tested = results["metrics"], results["tested"]
    if "test/acc" in metrics:
        return f"{100 * metrics['test/acc']:.2f} % of {tested:,} test examples right"
    if "test/mse" in metrics:
        return f"mean squared error {metrics['test/mse']:.4g} on {tested:,} test examples"
    return "not tested"


def _sections(figures: Path) -> Any:
    for heading, captions in SECTIONS.items():
        there = {name: figures / f"{name}.png" for name in captions}
        pictures = [
            (name, captions[name], b64encode(path.read_bytes()).decode())
            for name, path in there.items()
            if path.exists()
        ]
        if pictures:
            yield heading, pictures


def _circumstances(results: dict[str, Any]) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    return [
        ("seed", str(results["seed"])),
        ("device", f"{results['device']}, {results['precision']}"),
        ("versions", versions),
        ("checkpoint", str(results["best_checkpoint"])),
    ]
