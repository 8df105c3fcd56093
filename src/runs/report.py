"""`report.html`: the results of a run, its mistakes, its training, and how to repeat it.

Pictures are part of the file; it loads nothing else.
"""

from base64 import b64encode
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from src.files import write_whole
from src.runs.summary import facts

# The sections of the page: heading, then name and caption of each picture.
SECTIONS: dict[str, dict[str, str]] = {
    "How it went": {"curves": "Loss and score; the dotted line is the epoch that was kept."},
    "Where it fails": {
        "worst_mistakes": "Mistakes that gave the true class the lowest probability.",
        "confusion_matrix": "How often each true class (row) was predicted as each class (column).",
        "confused_pairs": "The pairs of classes that are confused most often.",
        "class_scores": "Precision, recall and F1 of each class.",
        "reliability": "Accuracy by confidence: the probability of the predicted class.",
        "predicted_vs_true": "Predictions against targets; correct on the diagonal.",
        "residuals": "Target minus prediction; a pattern means there is more to learn.",
    },
    "What it learned": {
        "line_fit": "The line at several steps of the training, the last one bold.",
        "loss_surface": "The path of gradient descent; the star is the closed-form solution.",
        "first_layer": "The weights of the first layer: the pattern each unit responds to.",
        "feature_maps": "The feature maps of each convolution for one test image.",
        "predictions": "Random test images; mistakes are in orange.",
    },
    "How it was trained": {
        "learning_rate": "The learning rate.",
        "gradients": "The norm of the gradient by layer; far apart, layers learn at unequal rates.",
        "units": "Dead units and saturated values, through which no gradient flows.",
    },
}


def write_report(
    folder: Path, results: dict[str, Any], changes: dict[str, tuple[Any, Any]]
) -> Path:
    """Write the page into a run folder, with the pictures found there, and return its path.

    Args:
        folder: The run folder, with its pictures in `figures/`.
        results: The content of `results.json`.
        changes: Value and default of each setting that differs from its default.
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
        has_patch=(folder / "changes.diff").is_file(),
        circumstances=_circumstances(results),
    )
    write_whole(path, text)
    return path


def verdict(results: dict[str, Any]) -> str:
    """Return the result in a few words, e.g. `98.44 % of 10,000 test samples correct`."""
    metrics, tested = results["metrics"], results["tested"]
    if "test/acc" in metrics:
        return f"{100 * metrics['test/acc']:.2f} % of {tested:,} test samples correct"
    if "test/mse" in metrics:
        return f"mean squared error {metrics['test/mse']:.4g} on {tested:,} test samples"
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
