"""Lesson 6. From a line to LeNet: what each of five models adds, measured on your own runs.

`./scripts/run lesson 6` prints its values; VS Code and Jupyter open this file as a notebook.
Finished runs in lightning_logs/ are used; models without one are trained for a few epochs.
"""

from typing import Any

from kit import check, heading, show
from ladder import Trained, finished, opened

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.command.quiet import quieten
from src.data import MNIST
from src.models.layers import multilayer
from src.plots.images import WORDS, middle, mosaic
from src.plots.images import show as draw
from src.plots.style import BLUE, CYCLE, ORANGE, frame
from src.runs.curves import read_curves
from src.runs.results import read_results

quieten()  # Lightning's tips

# %% [markdown]
# # Lesson 6. From a line to LeNet
#
# Five networks classify the same handwritten digits. Each adds one idea to the one before: a line
# for each class, a hidden layer, a better activation function, a remedy for overfitting, and the
# knowledge that pixels have neighbours. All results are read from the runs. So the numbers are
# those of *your* runs, and other runs may give other results.

# %%
RUNGS = {
    "mnist_logistic": ("logistic regression", "a line for each class, and softmax"),
    "mnist_sigmoid_mlp": ("sigmoid MLP", "a hidden layer: curved boundaries"),
    "mnist_relu_mlp": ("ReLU MLP", "ReLU instead of sigmoid, one more layer"),
    "mnist_mlp": ("dropout MLP", "dropout, and more units"),
    "mnist_lenet": ("LeNet", "convolution: pixels have neighbours"),
}
NAMES = [name for name, _ in RUNGS.values()]

# %% [markdown]
# ## 1. The runs
#
# MNIST has 60,000 digits for training and 10,000 for testing. If it is missing and cannot be
# downloaded, the small digits of scikit-learn are used instead. All models must be tested on the
# same digits, so only runs on this data set count. `finished` returns the folder of the newest, or
# trains one (`ladder.py`, beside this file); `opened` loads its model.

# %%
heading("1. The runs")
data = MNIST()
data.prepare_data()
data.setup("fit")
images, labels = data.splits["test"].x, data.splits["test"].y
print(f"{data.source}: {len(labels):,} test digits")


def predictions(run: Trained) -> Tensor:
    """Return the digit that a run predicts for each test image."""
    with torch.no_grad():
        batches = run.normalised(images).split(1000)
        return torch.cat([run.model(batch).argmax(dim=1) for batch in batches])


folders = [finished(config, data) for config in RUNGS]
runs = [opened(folder) for folder in folders]
results: list[dict[str, Any]] = [read_results(folder) for folder in folders]
predicted = torch.stack([predictions(run) for run in runs])  # (models, digits)
right = predicted == labels

# %% [markdown]
# ## 2. Results
#
# The accuracy of each run was recorded when it was tested. Here its best weights are tested again.
# The number of parameters is calculated from the sizes of the layers: a dense layer has inputs x
# outputs weights, a convolution one small filter for each pair of channels, and a *bias* is one
# more number for each output.


# %%
def by_hand(layer: nn.Module) -> int:
    """Return the number of parameters of a layer, calculated from its sizes."""
    if isinstance(layer, nn.Linear):
        return layer.out_features * (layer.in_features + (layer.bias is not None))
    if isinstance(layer, nn.Conv2d):
        rows, columns = layer.kernel_size
        one = layer.in_channels * rows * columns + (layer.bias is not None)
        return layer.out_channels * one
    return 0


heading("2. Results")
parameters = [result["parameters"] for result in results]
mistakes = (~right).sum(dim=1).tolist()
for name, run, result, good in zip(NAMES, runs, results, right, strict=True):
    margin = 3 / len(labels)  # borderline digits, since rounding differs between machines
    check(f"{name}: accuracy", result["metrics"]["test/acc"], good.double().mean(), within=margin)
    check(f"{name}: parameters", result["parameters"], sum(map(by_hand, run.model.net)))
print(f"\n{'':<20} {'adds':<40} {'right':>8} {'wrong':>6} {'parameters':>11} epochs seconds")
for i, (name, adds) in enumerate(RUNGS.values()):
    share, seconds = right[i].double().mean(), results[i]["seconds"]["fit"]
    print(f"{name:<20} {adds:<40} {share:>8.2%} {mistakes[i]:>6} {parameters[i]:>11,}"
          f" {results[i]['epochs']:>6} {seconds:>7.1f}")  # fmt: skip
print(f"seconds of fit on: {', '.join(sorted({result['device'] for result in results}))}")
fewer = f"{mistakes[-1]} mistakes where the {NAMES[-2]} makes {mistakes[-2]}"
smaller = f"{parameters[-1]:,} parameters against {parameters[-2]:,}"
print(f"\nLeNet makes {fewer}, with {smaller}.")

# %%
figure, axes = frame(7, 4.2)
places = [(0, 10, "center"), (0, -18, "center"), (10, -4, "left"), (0, 10, "center"),
          (-10, -4, "right")]  # fmt: skip
for i, (name, (aside, above, side)) in enumerate(zip(NAMES, places, strict=True)):
    point = parameters[i], 100 * right[i].double().mean().item()
    axes.plot(*point, "o", markersize=9, color=CYCLE[i])
    axes.annotate(f"{i + 1} {name}", point, (aside, above), textcoords="offset points", ha=side,
                  color=CYCLE[i])  # fmt: skip
axes.set(xscale="log", xlabel="parameters", ylabel="test accuracy, %",
         title=f"LeNet: {fewer},\nwith {smaller}")  # fmt: skip
axes.title.set_size(10)
axes.margins(x=0.2, y=0.2)
axes.grid(alpha=0.3)
show(figure, "6_rungs")

# %% [markdown]
# The models differ in more than the idea they add: also in width, optimizer and epochs. Each is set
# up as its kind is usually trained. Only runs that differ in nothing else show what an idea alone
# is worth; the exercises make some.
#
# ## 3. A line for each class, softmax, and bias
#
# Logistic regression multiplies each pixel by a weight and adds up: ten sums, one for each digit.
# *Softmax* turns them into probabilities: positive, with sum 1. A *bias* is added to the sum of a
# class, whatever the image shows. Without one, an input of zeros (after normalising: mean grey
# everywhere) gets ten equal probabilities. Logistic regression, sigmoid MLP and dropout MLP have no
# bias: exercise 1 shows what it is worth.

# %%
heading("3. A line for each class, softmax, and bias")
line = runs[0].model
first_image = runs[0].normalised(images[:1])
with torch.no_grad():
    weight, bias = line.net[1].weight, line.net[1].bias
    sums = (weight * first_image.flatten()).sum(dim=1) + (0 if bias is None else bias)
    probabilities = line(first_image).softmax(dim=1)[0]
    largest = sums.max().exp() / sums.exp().sum()
    check("first test digit, largest probability", probabilities.max(), largest, within=1e-4)
    print(f"it is a {labels[0]}, predicted as {probabilities.argmax()}")
    if bias is None:
        of_zeros = line(torch.zeros_like(first_image)).softmax(dim=1)
        check("without a bias, an input of zeros, largest", of_zeros.max(), 0.1)

# %% [markdown]
# The weights can be drawn: red pixels are evidence for the class, blue ones against it. Logistic
# regression has a single picture for each digit, which must fit every style of writing. The units
# of a hidden layer can detect strokes that several digits share. LeNet's filters see five by five
# pixels at a time and are moved over the whole image: few weights, used everywhere.

# %%
shape = runs[0].data.input_shape
units = runs[2].model.net[1].weight.detach()
strongest = units.norm(dim=1).argsort(descending=True)[:10]
sheets = [
    ("logistic regression: one for each digit", runs[0].model.net[1].weight.view(-1, *shape)),
    ("ReLU MLP: the hidden units with the largest weights", units[strongest].view(-1, *shape)),
    ("LeNet: its first filters, enlarged", runs[4].model.net[0].weight),
]
figure, panels = frame(9, 4.4, nrows=3, height_ratios=[1.2, 1, 1.7])
for panel, (title, weights) in zip(panels, sheets, strict=True):
    limit = 0.5 * weights.detach().abs().max()  # larger weights get the same colour
    below = 0.2 if weights is sheets[0][1] else 0.0  # room for the names of the digits
    sheet = mosaic(weights.detach() / limit, len(weights), below, empty=torch.nan)
    panel.imshow(sheet[..., 0], cmap="RdBu_r", vmin=-1, vmax=1)
    panel.set_title(title, fontsize=10, loc="left")
    panel.set_axis_off()
for digit in range(10):
    panels[0].text(*middle(digit, 10, *shape[1:], 0.2), str(digit), **WORDS)
show(figure, "6_first_weights")

# %% [markdown]
# ## 4. Sigmoid and ReLU
#
# On its way back to the first layer, a gradient is multiplied by the slope of each activation
# function. The slope of a sigmoid is at most a quarter, and near zero far from 0. The slope of ReLU
# is one or zero. The left and middle panels show the norms of the gradients in the two runs, by
# layer. They differ in depth and optimizer; so the right panel compares two untrained networks that
# differ only in the activation function, six layers deep, on the same thousand digits.
#
# Left and middle: with two or three layers the gradients do not vanish, even with sigmoids. Right:
# with six, the first sigmoid layer's gradient is a tiny share of the last one's. The shares are
# printed.

# %%
heading("4. Sigmoid and ReLU")
at = torch.linspace(-6, 6, 1201, requires_grad=True)  # in steps of 0.01, with 0 among them
[slope] = torch.autograd.grad(at.sigmoid().sum(), at)
check("largest slope of the sigmoid", slope.max(), 1 / 4)
[slope] = torch.autograd.grad(at.relu().sum(), at)
check("largest slope of ReLU", slope.max(), 1)

split = data.splits["train"]
x = (split.x[split.indices[:1000]] - data.mean) / data.std
y = split.y[split.indices[:1000]]
norms = {}
for activation in ("sigmoid", "relu"):
    torch.manual_seed(0)
    net = multilayer([784, 100, 100, 100, 100, 100, 10], activation)
    F.cross_entropy(net(x), y).backward()
    norms[activation] = [
        layer.weight.grad.norm().item() for layer in net if isinstance(layer, nn.Linear)
    ]
    sizes = ", ".join(f"{norm:.2g}" for norm in norms[activation])
    print(f"{activation:<12} untrained, gradient of layer 1 to 6: {sizes}")
ratios = {activation: first / last for activation, (first, *_, last) in norms.items()}
for activation, ratio in ratios.items():
    print(f"{activation:<12} untrained, gradient of layer 1 / layer 6: {ratio:.2g}")
assert ratios["sigmoid"] < 0.01 * ratios["relu"]

figure, panels = frame(11, 3.6, ncols=3, sharey=True)
for panel, i in zip(panels, (1, 2), strict=False):
    curves = read_curves((folders[i] / "curves.csv").read_text())
    layers = [torch.tensor(c) for name, c in curves.items() if name.startswith("gradient/")]
    for j, curve in enumerate(layers):
        n = max(1, curve.shape[1] // 30)  # points averaged to smooth the line
        epochs, values = curve.unfold(1, n, n).mean(dim=2)
        panel.plot(epochs, values, color=CYCLE[j], label=f"layer {j + 1}")
    means = [curve[1].mean().item() for curve in layers]
    sizes = ", ".join(f"{mean:.2g}" for mean in means)
    print(f"{NAMES[i]:<12} while training, mean gradient of layer 1 to {len(layers)}: {sizes}")
    print(f"{'':<12} gradient of layer 1 / layer {len(layers)}: {means[0] / means[-1]:.2g}")
    panel.set(title=f"{NAMES[i]}, while training", xlabel="epoch", yscale="log")
    panel.legend(fontsize=8)
for activation, colour in (("sigmoid", ORANGE), ("relu", BLUE)):
    panels[2].plot(range(1, 7), norms[activation], "o-", color=colour, label=activation)
panels[2].set(title="six layers, before training", xlabel="layer", yscale="log")
panels[2].legend(fontsize=8)
panels[0].set_ylabel("norm of the gradient")
show(figure, "6_gradients")

# %% [markdown]
# ## 5. Dropout and convolution
#
# *Dropout* sets random hidden units to zero in each step, so that no unit can rely on another: the
# network memorises less (lesson 5). *Convolution* moves one small filter over the whole image, so
# that a stroke learned in one place is detected everywhere.
#
# Overfitting is measured by the gap between the losses at the end: training (mean of the last
# epoch) and validation. Note that with dropout, the training loss is computed while units are
# missing, and that alone makes the gap smaller.

# %%
heading("5. Dropout and convolution")
gaps = []
print(f"{'':<20} training  validation    gap")
for name, folder in list(zip(NAMES, folders, strict=True))[2:]:
    curves = read_curves((folder / "curves.csv").read_text())
    epochs, values = (torch.tensor(numbers) for numbers in curves["train/loss"])
    on_train, on_val = values[epochs > epochs[-1] - 1].mean(), curves["val/loss"][1][-1]
    gaps.append((on_val - on_train).item())
    print(f"{name:<20} {on_train:>8.3f}  {on_val:>10.3f} {gaps[-1]:>+6.3f}")
for before, after, idea in ((0, 1, "dropout"), (1, 2, "convolution")):
    verdict = "shrinks" if abs(gaps[after]) < abs(gaps[before]) else "does not shrink"
    print(f"with {idea} the gap {verdict}: {gaps[before]:+.3f}, then {gaps[after]:+.3f}")

# %% [markdown]
# ## 6. The mistakes that one model makes and the next does not
#
# All models are tested on the same digits, so we can see which mistakes an idea fixes, and which it
# adds. Below each digit are its label and the predictions of the models, from first to last. The
# digits are the first of each kind in the test set, not selected.

# %%
heading("6. The mistakes that one model makes and the next does not")
rows = []
for i in range(len(RUNGS) - 1):
    fixed, added = right[i + 1] & ~right[i], right[i] & ~right[i + 1]
    change = f"{NAMES[i]:<20} -> {NAMES[i + 1]:<12}"
    print(f"{change} fixes {fixed.sum():>4}, adds {added.sum():>4}")
    rows.append((f"{NAMES[i]} wrong, {NAMES[i + 1]} right", fixed))
never = ~right.any(dim=0)
print(f"{never.sum()} of {len(labels):,} digits are misclassified by all five")
rows.append(("all wrong", never))

figure, panels = frame(8, 7.4, nrows=len(rows))
figure.suptitle("Below each digit: its label and the predictions of the five models", fontsize=10)
for panel, (title, which) in zip(panels, rows, strict=True):
    chosen = which.nonzero()[:10, 0]
    sheet = torch.ones(10, 1, 28, 28)  # white if there are fewer
    sheet[: len(chosen)] = images[chosen] / 255
    draw(panel, mosaic(sheet, 10, below=0.5))
    for place, digit in enumerate(chosen.tolist()):
        found = " ".join(str(answer) for answer in predicted[:, digit].tolist())
        panel.text(*middle(place, 10, 28, 28, 0.5), f"{labels[digit]}\n{found}", **WORDS)
    panel.set_title(f"{title}: {which.sum()}", fontsize=10, loc="left")
    panel.set_axis_off()
show(figure, "6_mistakes")

# %% [markdown]
# ## 7. Exercises
#
# Run this lesson again after each of the first two. The numbers below are of MNIST on one machine;
# yours will differ in the last digits.
#
# 1. Give logistic regression a bias: `./scripts/run fit --config configs/mnist_logistic.yaml
#    --model.bias true`. (Ten more parameters, and no check on zeros. 92.52 % as before: another
#    seed, `--seed_everything 1`, changes more.)
# 2. Use sigmoids in the ReLU MLP and change nothing else: `--config
#    configs/mnist_relu_mlp.yaml --model.activation sigmoid`. (Its gradients are two to six times
#    smaller, but with three layers it still learns: 97.69 %.)
# 3. An MLP as large as LeNet: `--config configs/mnist_relu_mlp.yaml --model.hidden [78]` has 62,020
#    parameters. Calculate that number by hand, then train it. (97.69 %: the number of parameters
#    does not explain the difference.)
