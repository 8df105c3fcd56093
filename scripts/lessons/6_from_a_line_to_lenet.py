"""Lesson 6. From a line to LeNet: what each rung of the ladder adds, told by its own runs.

Runs as a script (`./scripts/run lesson 6`) or, cell by cell, as a notebook. Finished runs in
lightning_logs/ are taken as they are; rungs that are missing are trained for a few epochs.
"""

# %% [markdown]
# # Lesson 6. From a line to LeNet
#
# Five networks read the same handwritten digits. Each adds one idea to the one before: a line for
# each class, a hidden layer, a better bend, a remedy against learning by heart, and at last the
# knowledge that pixels have neighbours. Nothing is asserted about them here that is not read from
# their runs. So the numbers are those of *your* runs, and other runs may tell another story.

# %%
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import kit
from kit import check, heading, show

import src  # noqa: F401  (first: it makes torchvision and Lightning importable)

# isort: split
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src import plots
from src.cli import main as linenet
from src.curves import read_curves
from src.data import MNIST
from src.messages import CONFIGS
from src.models.layers import multilayer
from src.plots.images import middle, mosaic
from src.plots.images import show as draw
from src.plots.style import BLUE, CYCLE, ORANGE, frame
from src.quiet import quieten
from src.runs import last_saved, tested, trained

sys.path.append(str(Path(kit.__file__).parents[1]))
from trained import Trained, open_run

quieten()
RUNGS = {
    "mnist_logistic": ("logistic regression", "a line for each class, and softmax"),
    "mnist_sigmoid_mlp": ("sigmoid MLP", "a hidden layer: boundaries bend"),
    "mnist_relu_mlp": ("ReLU MLP", "ReLU: gradients that do not fade"),
    "mnist_mlp": ("dropout MLP", "dropout, and more units"),
    "mnist_lenet": ("LeNet", "convolution: pixels have neighbours"),
}
NAMES = [name for name, _ in RUNGS.values()]

# %% [markdown]
# ## The runs
#
# MNIST is 60,000 digits to learn from and 10,000 to be tested by. Where it can be neither found
# nor downloaded, the small digits of scikit-learn stand in. All rungs must be judged by the same
# digits, so only runs on this data set count.

# %%
heading("The runs")
data = MNIST()
data.prepare_data()
data.setup("fit")
images, labels = data.splits["test"].x, data.splits["test"].y
official = data.name == "MNIST"
print(f"{data.source}: {len(labels):,} test digits")


def newest(config: str, place: Path) -> Path | None:
    """Return the folder of the newest run of a config that was tested on these digits."""
    folders = [path.parent for path in place.glob(f"{config}/*/config.yaml") if trained(path)]
    fitting = []
    for folder in folders:
        results = tested(folder)
        if results and (results["dataset"]["name"], results["tested"]) == (data.name, len(labels)):
            fitting.append(folder)
    return max(fitting, key=last_saved, default=None)


def train_shortly(config: str) -> Path | None:
    """Train a rung for a few epochs, as the command line does, into lightning_logs/lessons/."""
    epochs = "2" if official else "20"  # the small digits have fewer batches in an epoch
    words = ["fit", "--config", f"{CONFIGS / config}.yaml", "--config", f"{CONFIGS}/with/fast.yaml",
             "--trainer.max_epochs", epochs, "--data.source", "mnist" if official else "digits",
             "--trainer.logger.save_dir", str(kit.PICTURES), "--figures.only", "[]",
             "--report", "false", "--trainer.enable_progress_bar", "false"]  # fmt: skip
    print(f"{config} has no finished run: training it for {epochs} epochs only ...", flush=True)
    with redirect_stdout(StringIO()):
        linenet(words)
    return newest(config, kit.PICTURES)


def answers(run: Trained) -> Tensor:
    """Return the digit that a run takes each test image for."""
    with torch.no_grad():
        x, _ = run.data.on_after_batch_transfer((run.data.padded(images), labels), 0)
        return torch.cat([run.model(batch).argmax(dim=1) for batch in x.split(1000)])


folders: list[Path] = []
for config in RUNGS:
    own = newest(config, kit.PICTURES.parent) or newest(config, kit.PICTURES)
    folders.append(own or train_shortly(config))
    print(f"  {config}: {folders[-1].relative_to(kit.PICTURES.parent)}")
runs = [open_run(str(folder), "the lesson") for folder in folders]
results: list[dict[str, Any]] = [tested(folder) for folder in folders]
said = torch.stack([answers(run) for run in runs])  # (rungs, digits)
right = said == labels

# %% [markdown]
# The accuracy of each run was written down when it was tested. Here its best weights read the test
# digits once more. The number of parameters is worked out from the sizes of the layers: a dense
# layer has inputs x outputs weights, a convolution one small filter for each pair of channels, and
# a *bias* is one number more for each output.


# %%
def by_hand(layer: nn.Module) -> int:
    """Return how many parameters a layer has, from its sizes."""
    if isinstance(layer, nn.Linear):
        return layer.out_features * (layer.in_features + (layer.bias is not None))
    if isinstance(layer, nn.Conv2d):
        rows, columns = layer.kernel_size
        one = layer.in_channels * rows * columns + (layer.bias is not None)
        return layer.out_channels * one
    return 0


heading("What came out")
parameters = [result["parameters"] for result in results]
mistakes = (~right).sum(dim=1).tolist()
for name, run, result, good in zip(NAMES, runs, results, right, strict=True):
    few = 3 / len(labels)  # digits on the edge: another machine rounds otherwise
    check(f"{name}: accuracy", result["metrics"]["test/acc"], good.double().mean(), within=few)
    check(f"{name}: parameters", result["parameters"], sum(map(by_hand, run.model.net)))
print(f"\n{'':<20} {'adds':<36} {'right':>8} {'wrong':>6} {'parameters':>11} epochs seconds")
for i, (name, adds) in enumerate(RUNGS.values()):
    share, seconds = right[i].double().mean(), results[i]["seconds"]["fit"]
    print(f"{name:<20} {adds:<36} {share:>8.2%} {mistakes[i]:>6} {parameters[i]:>11,}"
          f" {results[i]['epochs']:>6} {seconds:>7.1f}")  # fmt: skip
print(f"seconds of fit on: {', '.join(sorted({result['device'] for result in results}))}")
share = parameters[-1] / parameters[-2]
told = f"{mistakes[-1]} mistakes where the {NAMES[-2]} makes {mistakes[-2]}"
print(f"\nLeNet makes {told}, with {share:.2f} times its parameters.")

# %%
figure, axes = frame(7, 4.2)
places = [(0, 10, "center"), (0, -18, "center"), (10, -4, "left"), (0, 10, "center"),
          (-10, -4, "right")]  # fmt: skip
for i, (name, (aside, above, side)) in enumerate(zip(NAMES, places, strict=True)):
    point = parameters[i], 100 * right[i].double().mean().item()
    axes.plot(*point, "o", markersize=9, color=CYCLE[i])
    axes.annotate(name, point, (aside, above), textcoords="offset points", ha=side, color=CYCLE[i])
axes.set(xscale="log", xlabel="parameters", ylabel="test accuracy, %",
         title=f"LeNet: {told}, with {share:.2f} times the parameters")  # fmt: skip
axes.title.set_size(10)
axes.margins(x=0.2, y=0.2)
axes.grid(alpha=0.3)
show(figure, "6_rungs")

# %% [markdown]
# The rungs differ in more than the idea they add: in width, optimizer and epochs, too. Each is set
# up as its kind is usually trained. What an idea alone is worth, only runs that differ in nothing
# else can say; the exercises make some.
#
# ## A line for each class, softmax, and bias
#
# Logistic regression multiplies each pixel by a weight and adds up: ten sums, one for each digit.
# *Softmax* makes probabilities of them: all are positive, and together they are 1. A *bias* lets a
# class have a head start, whatever the image shows. Where a run has none, an image of zeros gets
# ten equal answers.

# %%
heading("A line for each class, softmax, and bias")
line = runs[0].model
first_image, _ = runs[0].data.on_after_batch_transfer((images[:1], labels[:1]), 0)
with torch.no_grad():
    weight, bias = line.net[1].weight, line.net[1].bias
    sums = (weight * first_image.flatten()).sum(dim=1) + (0 if bias is None else bias)
    probabilities = line(first_image).softmax(dim=1)[0]
    check("probabilities of the first test digit, sum", probabilities.sum(), 1)
    check("the largest of them", probabilities.max(), sums.max().exp() / sums.exp().sum(), 1e-4)
    print(f"it is a {labels[0]}, taken for a {probabilities.argmax()}")
    if bias is None:
        nothing = line(torch.zeros_like(first_image)).softmax(dim=1)
        check("without a bias, an image of zeros, largest", nothing.max(), 0.1)

# %% [markdown]
# The weights can be looked at: red pixels speak for the class, blue ones against it. Logistic
# regression has a single picture for each digit, and each style of writing must fit it. The units
# of a hidden layer are free to look for strokes that several digits share. LeNet's filters see five
# by five pixels at a time and are moved over the whole image: few weights, used everywhere.

# %%
shape = runs[0].data.input_shape
units = runs[2].model.net[1].weight.detach()
strongest = units.norm(dim=1).argsort(descending=True)[:10]
sheets = [
    ("logistic regression: one for each digit", runs[0].model.net[1].weight.view(-1, *shape)),
    ("ReLU MLP: the hidden units with the largest weights", units[strongest].view(-1, *shape)),
    ("LeNet: its first filters, enlarged", runs[4].model.net[0].weight),
]
figure, panels = frame(9, 4.6, nrows=3, height_ratios=[1, 1, 1.5])
for panel, (title, weights) in zip(panels, sheets, strict=True):
    limit = 0.5 * weights.detach().abs().max()  # beyond it the colour stays
    sheet = mosaic(weights.detach() / limit, len(weights), empty=torch.nan)
    panel.imshow(sheet[..., 0], cmap="RdBu_r", vmin=-1, vmax=1)
    panel.set_title(title, fontsize=10, loc="left")
    panel.set_axis_off()
show(figure, "6_first_weights")

# %% [markdown]
# ## Sigmoid against ReLU
#
# On its way back to the first layer, a gradient is multiplied by the slope of each bend that it
# passes. The slope of a sigmoid is at most a quarter, and near zero far out. The slope of ReLU is
# one, or zero. The left and the middle show the size of the gradients in the two runs, layer by
# layer. They differ in depth and optimizer; so the right compares two fresh networks that are equal
# but for the bend, six layers deep, on the same thousand digits.

# %%
heading("Sigmoid against ReLU")
at = torch.linspace(-6, 6, 1201, requires_grad=True)  # in steps of 0.01, with 0 among them
[slope] = torch.autograd.grad(at.sigmoid().sum(), at)
check("largest slope of the sigmoid", slope.max(), 1 / 4)
[slope] = torch.autograd.grad(at.relu().sum(), at)
check("largest slope of ReLU", slope.max(), 1)

split = data.splits["train"]
x = (split.x[split.indices[:1000]] - data.mean) / data.std
y = split.y[split.indices[:1000]]
norms = {}
for bend in ("sigmoid", "relu"):
    torch.manual_seed(0)
    net = multilayer([784, 100, 100, 100, 100, 100, 10], bend)
    F.cross_entropy(net(x), y).backward()
    norms[bend] = [layer.weight.grad.norm().item() for layer in net if isinstance(layer, nn.Linear)]
    told = ", ".join(f"{norm:.2g}" for norm in norms[bend])
    print(f"{bend:<8} fresh, gradient of layer 1 to 6: {told}")
fading = {bend: first / last for bend, (first, *_, last) in norms.items()}
assert fading["sigmoid"] < 0.01 * fading["relu"]

figure, panels = frame(11, 3.6, ncols=3, sharey=True)
for panel, i in zip(panels, (1, 2), strict=False):
    curves = read_curves((folders[i] / "curves.csv").read_text())
    layers = [torch.tensor(c) for name, c in curves.items() if name.startswith("gradient/")]
    for j, curve in enumerate(layers):
        n = max(
            1, curve.shape[1] // 30
        )  # points that are averaged, or the lines would be a thicket
        epochs, values = curve.unfold(1, n, n).mean(dim=2)
        panel.plot(epochs, values, color=CYCLE[j], label=f"layer {j + 1}")
    told = ", ".join(f"{curve[1].mean():.2g}" for curve in layers)
    print(f"{NAMES[i]:<12} while training, mean gradient of layer 1 to {len(layers)}: {told}")
    panel.set(title=f"{NAMES[i]}, while training", xlabel="epoch", yscale="log")
    panel.legend(fontsize=8)
for bend, colour in (("sigmoid", ORANGE), ("relu", BLUE)):
    panels[2].plot(range(1, 7), norms[bend], "o-", color=colour, label=bend)
panels[2].set(title="six layers, before training", xlabel="layer", yscale="log")
panels[2].legend(fontsize=8)
panels[0].set_ylabel("norm of the gradient")
show(figure, "6_gradients")

# %% [markdown]
# ## The mistakes that one rung makes and the next does not
#
# All rungs read the same test digits, so we can ask which mistakes an idea mends, and which it
# makes anew. Below each digit stands what it is, and what the rungs take it for, from the first to
# the last. The digits are the first of each kind in the test set, not chosen.

# %%
heading("The mistakes that one rung makes and the next does not")
rows = []
for i in range(len(RUNGS) - 1):
    mended, anew = right[i + 1] & ~right[i], right[i] & ~right[i + 1]
    print(
        f"{NAMES[i]:<20} -> {NAMES[i + 1]:<18} mends {mended.sum():>4}, makes {anew.sum():>4} anew"
    )
    check("  so many mistakes are left", mistakes[i + 1], mistakes[i] - mended.sum() + anew.sum())
    rows.append((f"{NAMES[i]} wrong, {NAMES[i + 1]} right", mended))
never = ~right.any(dim=0)
print(f"{never.sum()} of {len(labels):,} digits are read by none of the five")
rows.append(("all wrong", never))

figure, panels = frame(8, 7.4, nrows=len(rows))
figure.suptitle("Below each digit: what it is, and what the five rungs take it for", fontsize=10)
for panel, (title, which) in zip(panels, rows, strict=True):
    chosen = which.nonzero()[:10, 0]
    sheet = torch.ones(10, 1, 28, 28)  # white where there are fewer
    sheet[: len(chosen)] = images[chosen] / 255
    draw(panel, mosaic(sheet, 10, below=0.5))
    for place, digit in enumerate(chosen.tolist()):
        told = "".join(str(answer) for answer in said[:, digit].tolist())
        panel.text(
            *middle(place, 10, 28, 28, 0.5), f"{labels[digit]}\n{told}", **plots.images.WORDS
        )
    panel.set_title(f"{title}: {which.sum()}", fontsize=10, loc="left")
    panel.set_axis_off()
show(figure, "6_mistakes")

# %% [markdown]
# ## Exercises
#
# Run this lesson again after each of the first two. The numbers are those of MNIST, where this was
# written; yours will differ in the last digits.
#
# 1. Give logistic regression a bias: `./scripts/run fit --config configs/mnist_logistic.yaml
#    --model.bias true`. (Ten parameters more, and no check on zeros. 92.52 % as before: another
#    seed, `--seed_everything 1`, changes more.)
# 2. Let the ReLU MLP bend by sigmoids and change nothing else: `--config
#    configs/mnist_relu_mlp.yaml --model.activation sigmoid`. (Its gradients are two to six times
#    smaller, but with three layers it still learns: 97.69 %.)
# 3. An MLP as large as LeNet: `--config configs/mnist_relu_mlp.yaml --model.hidden [78]` has 62,020
#    parameters. Work that number out by hand, then train it. (97.69 %: it is not their number.)
