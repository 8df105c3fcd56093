"""Lesson 5. The training loop: five repeated lines, and how to measure what they achieve.

`./scripts/run lesson 5` prints its values; VS Code and Jupyter open this file as a notebook.
"""

import copy
from functools import partial

from kit import PICTURES, check, heading, show

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from src.cli import main as linenet
from src.command.quiet import quieten
from src.data import MNIST
from src.models import ReLUMLP
from src.models.layers import multilayer
from src.plots.style import BLACK, BLUE, ORANGE, frame
from src.runs.curves import read_curves

quieten()  # Lightning's tips

# %% [markdown]
# # Lesson 5. The training loop
#
# A network learns by repeating five lines: reset the gradients, predict, compute the loss, compute
# the gradients, change the weights a little. The first half of this lesson writes them out, and
# then shows that Lightning does the same, number for number. The second half is about how to
# find out whether a network *generalises* or has only memorised its training samples.

# %% [markdown]
# ## 1. Three sets of digits
#
# scikit-learn contains 1,797 small handwritten digits. They are split into three parts:
#
# - **train**: the weights are fitted to these;
# - **val** (validation): used for every other choice: how long to train, how wide the network is;
# - **test**: used once, at the very end. It shows how good the result is on digits that were not
#   used for fitting or choosing anything.
#
# Pixels are 0 to 255. We subtract their mean and divide by their standard deviation, both computed
# from the training digits alone: no information may leak from validation and test.

# %%
heading("1. Three sets of digits")
# val_size is meant for MNIST's 60,000 digits; of fewer, the same share is taken, here a third
data = MNIST(source="digits", val_size=20_000)
data.setup("fit")
train, val = (data.splits[name].indices for name in ("train", "val"))
print(f"{len(train)} train, {len(val)} val, {len(data.splits['test'].indices)} test")
x = (data.splits["train"].x - data.mean) / data.std  # both train and val, selected by index
y = data.splits["train"].y
check("mean of the training pixels", x[train].mean(), 0, within=1e-4)
check("their standard deviation", x[train].std(correction=0), 1, within=1e-4)
check("digits that are in train and in val", len(set(train.tolist()) & set(val.tolist())), 0)

# %% [markdown]
# ## 2. The loop, by hand
#
# One pass over the training digits is an *epoch*. It consists of *batches*, here of 100: a gradient
# from a hundred digits is good enough for a step, and cheap.


# %%
def one_epoch(net: nn.Module, optimizer: torch.optim.Optimizer, order: Tensor) -> list[float]:
    """Train for one epoch on digits in the given order, and return the loss of each step."""
    net.train()  # training mode: dropout is on
    losses = []
    for chosen in order.split(100):
        optimizer.zero_grad()  # 1. reset the gradients of the last step
        output = net(x[chosen])  # 2. forward: predict
        loss = F.cross_entropy(output, y[chosen])  # 3. the mean loss of the batch
        loss.backward()  # 4. backward: a gradient for each weight
        optimizer.step()  # 5. move each weight against its gradient
        losses.append(loss.item())
    return losses


@torch.no_grad()  # evaluation needs no gradients
def evaluate(net: nn.Module, digits: Tensor) -> tuple[float, float]:
    """Return loss and accuracy on the given digits."""
    net.eval()  # evaluation mode: dropout is off
    output = net(x[digits])
    right = output.argmax(dim=1) == y[digits]
    return F.cross_entropy(output, y[digits]).item(), right.float().mean().item()


# %% [markdown]
# The order is shuffled again in each epoch. We use the project's shuffle, so that Lightning gets
# the same batches below. `SGD` is the simplest optimizer: it subtracts learning rate times
# gradient, which the first check verifies.

# %%
heading("2. The loop, by hand")
EPOCHS, RATE = 3, 0.05
torch.manual_seed(0)
model = ReLUMLP(hidden=[64], optimizer=partial(torch.optim.SGD, lr=RATE))
ours = copy.deepcopy(model.net)  # the same initial weights, for the loop
optimizer = torch.optim.SGD(ours.parameters(), lr=RATE)
batches = data.train_dataloader()
batches.set_epoch(0)

first = copy.deepcopy(ours)
F.cross_entropy(first(x[batches.order()[:100]]), y[batches.order()[:100]]).backward()
bias = first[-1].bias
by_hand = (bias - RATE * bias.grad)[0].item()
moved = copy.deepcopy(first)
one_epoch(moved, torch.optim.SGD(moved.parameters(), lr=RATE), batches.order()[:100])
check("a bias after one step: b - rate * gradient", moved[-1].bias[0], by_hand)

losses, val_losses = [], []
for epoch in range(EPOCHS):
    batches.set_epoch(epoch)
    losses += one_epoch(ours, optimizer, batches.order())
    loss, accuracy = evaluate(ours, val)
    val_losses.append(loss)
    print(f"epoch {epoch + 1}: validation loss {loss:.4f}, accuracy {accuracy:.1%}")

# %% [markdown]
# ## 3. The same, by Lightning
#
# `model` is a LightningModule: the same network with its loss and its optimizer. The Trainer runs
# the loop. The callback `Losses` only records. If the two differed in one batch, one weight or one
# sign, the losses would diverge within a few steps.


# %%
class Losses(Callback):
    """Records the loss of each step."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.values.append(outputs["loss"].item())


heading("3. The same, by Lightning")
recorded = Losses()
off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
trainer = Trainer(max_epochs=EPOCHS, accelerator="cpu", callbacks=[recorded],
                  num_sanity_val_steps=0, enable_model_summary=False, **off)  # fmt: skip
theirs = copy.deepcopy(model)  # so that this cell can be run again
trainer.fit(theirs, datamodule=data)

print("step   by hand      Lightning")
for step in range(5):
    print(f"{step:>4}   {losses[step]:.8f}   {recorded.values[step]:.8f}")
largest = (torch.tensor(losses) - torch.tensor(recorded.values)).abs().max()
check(f"largest difference in {len(losses)} steps", largest, 0)
for name, weight in ours.state_dict().items():
    difference = (weight - theirs.net.state_dict()[name]).abs().max()
    check(f"largest difference of {name}", difference, 0)
check("validation loss after the last epoch", trainer.callback_metrics["val/loss"], val_losses[-1])

# %% [markdown]
# So what is Lightning for? Not for the five lines, but for everything around them: checkpoints and
# resuming after a crash, curves, keeping the best epoch, several devices, and switching each of
# these on without changing the loop. In this project one command does it all. It is run here, and
# the validation losses that it writes equal those of our loop.
#
# At the end it also evaluates on the test digits, and gets far fewer of them right. These 257
# digits were written by other people than most of the training digits (`src/data/digits.py`):
# validation measures accuracy on the same writers, test on new ones.

# %%
print("\nthe same, by one command:")
words = f"""fit --model ReLUMLP --model.hidden [64]
 --model.optimizer SGD --model.optimizer.lr {RATE} --trainer.max_epochs {EPOCHS}
 --data MNIST --data.source digits --data.val_size 20000"""
print("./scripts/run", words.replace("\n", " \\\n"))
options = ["--trainer.logger.save_dir", str(PICTURES), "--trainer.accelerator", "cpu",
         "--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false",
         "--report", "false"]  # fmt: skip
linenet([*words.split(), *options])
newest = max(PICTURES.glob("ReLUMLP/*/curves.csv"), key=lambda path: path.stat().st_mtime)
curves = read_curves(newest.read_text())
check("its validation losses", curves["val/loss"][1], val_losses, 1e-5)
for name, who in (("val/acc", "the same writers"), ("test/acc", "new writers")):
    print(f"  {name:<8} {curves[name][1][-1]:.1%} right: {who}")

# %% [markdown]
# ## 4. Overfitting
#
# A hundred digits, and 669,706 weights to fit them: the network can memorise each digit. A hundred
# digits are one batch, so an epoch is one step here. Two remedies are tried on the same digits,
# from the same initial weights. *Dropout* sets a random half of the hidden units to zero in each
# step, so that no unit can rely on another. *Weight decay* reduces every weight by a hundredth
# (learning rate times decay, 0.001 * 10) in every step, so that only what many digits need remains.
# In all three cases we keep the weights of the lowest validation loss: early stopping is a remedy,
# too.


# %%
@torch.no_grad()
def confidence_if_wrong(net: nn.Module, digits: Tensor) -> float:
    """Return the mean probability of a network's wrong predictions."""
    p = net.eval()(x[digits]).softmax(dim=1)
    return p[p.argmax(dim=1) != y[digits]].amax(dim=1).mean().item()


heading("4. Overfitting")
small = train[:100]
check("weights", sum(p.numel() for p in multilayer([784, 512, 512, 10], "relu").parameters()),
      784 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10)  # fmt: skip
remedies = {"no remedy": (0.0, 0.0), "dropout": (0.5, 0.0), "weight decay": (0.0, 10.0)}
figure, panels = frame(10, 3.4, ncols=3, sharey=True)
at_the_end = {}
for panel, (name, (dropout, decay)) in zip(panels, remedies.items(), strict=True):
    torch.manual_seed(0)
    net = multilayer([784, 512, 512, 10], "relu", dropout)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.001, weight_decay=decay)
    on_train, on_val, lowest = [], [], float("inf")
    for epoch in range(1, 101):
        one_epoch(net, optimizer, small)
        on_train.append(evaluate(net, small)[0])
        on_val.append(evaluate(net, val)[0])
        if on_val[-1] < lowest:
            lowest, kept, weights = on_val[-1], epoch, copy.deepcopy(net.state_dict())
    at_the_end[name] = on_val[-1], evaluate(net, val)[1], confidence_if_wrong(net, val)
    net.load_state_dict(weights)
    at_lowest = *evaluate(net, val), confidence_if_wrong(net, val)
    line = "validation loss {:.3f}, accuracy {:.1%}, confidence if wrong {:.0%}"
    print(f"{name}, weights kept from epoch {kept}:")
    print(f"  after epoch {kept:>3}:", line.format(*at_lowest))
    print("  after epoch 100:", line.format(*at_the_end[name]))
    print(f"  training loss from {on_train[0]:.2f} to {on_train[-1]:.5f}")
    assert at_the_end[name][1] > at_lowest[1] - 0.01  # accuracy does not fall
    if name == "no remedy":
        assert at_the_end[name][2] > at_lowest[2] + 0.1
    panel.plot(range(1, 101), on_train, color=BLUE, label="100 training digits")
    panel.plot(range(1, 101), on_val, color=ORANGE, label="validation digits")
    panel.axvline(kept, color=BLACK, linestyle=":", label="weights kept")
    panel.set(title=name, xlabel="epoch", ylim=(0, 1.5))
    assert on_train[-1] < 0.01 * on_train[0]  # memorised
panels[0].set_ylabel("loss")
panels[0].legend(fontsize=8)
show(figure, "5_overfitting")
overfitted, *remedied = (loss for loss, _, _ in at_the_end.values())
assert overfitted > 1.2 * max(remedied)

# %% [markdown]
# Without a remedy, the validation loss soon rises again, while the training loss falls to almost 0.
# The accuracy does not fall: what grows is the confidence in wrong predictions, which cross-entropy
# penalises.

# %% [markdown]
# ## 5. Mistake: choosing the epoch on the test set
#
# Many tutorials train for some epochs, compute the test accuracy after each, and report the best.
# That best is partly luck: among forty epochs, one suits these particular test digits. To measure
# the luck, we draw 100 test and 100 validation digits from those not trained on, and call the rest
# *fresh*: over a thousand digits that show the true accuracy of an epoch. We do twenty draws for
# each of ten trainings.

# %%
heading("5. Mistake: choosing the epoch on the test set")
unseen = torch.cat([train[100:], val])  # never trained on
rows = []
for seed in range(10):
    torch.manual_seed(seed)
    spare = multilayer([784, 64, 10], "relu", dropout=0.5)
    optimizer = torch.optim.Adam(spare.parameters(), lr=0.01)
    right = torch.empty(40, len(unseen))  # whether each prediction is right, by epoch
    for epoch in range(40):
        one_epoch(spare, optimizer, small)
        with torch.no_grad():
            right[epoch] = (spare.eval()(x[unseen]).argmax(dim=1) == y[unseen]).float()
    for _ in range(20):
        test_part, val_part, fresh = torch.randperm(len(unseen)).tensor_split([100, 200])
        on_test, on_val, on_fresh = (right[:, i].mean(dim=1) for i in (test_part, val_part, fresh))
        by_test, by_val = on_test.argmax(), on_val.argmax()
        rows.append([on_test[by_test], on_fresh[by_test], on_test[by_val], on_fresh[by_val]])
points = 100 * torch.tensor(rows)
reported, true, honest, honest_true = points.mean(dim=0).tolist()
print("epoch chosen by   reported test accuracy     true accuracy")
print(f"test              {reported:>24.1f} %   {true:>14.1f} %   {reported - true:+.1f} points")
print(f"validation        {honest:>24.1f} %   {honest_true:>14.1f} %   "
      f"{honest - honest_true:+.1f} points")  # fmt: skip
assert reported - true > 1  # selected for luck
assert abs(honest - honest_true) < 1  # luck averages out

figure, axes = frame(6.5, 3.4)
gaps = [points[:, 0] - points[:, 1], points[:, 2] - points[:, 3]]
for by, gap, colour in zip(("test", "validation"), gaps, (ORANGE, BLUE), strict=True):
    label = f"epoch chosen by {by}: {gap.mean():+.1f} on average"
    axes.hist(gap, range(-13, 14, 2), histtype="step", linewidth=2, color=colour, label=label)
    axes.axvline(gap.mean(), color=colour, linestyle="--")
axes.set(xlabel="reported test accuracy minus true accuracy, in points", ylabel="draws",
         title="Chosen on the test set, a result looks better than it is")  # fmt: skip
axes.set_ylim(top=axes.get_ylim()[1] * 1.25)  # room for the legend
axes.legend(fontsize=8, loc="upper left", framealpha=1)
show(figure, "5_choosing_the_epoch")

# %% [markdown]
# ## 6. Mistake: forgetting `model.eval()`
#
# In training, dropout sets half of the units to zero and doubles the others, so that the mean of
# their sum is unchanged. In evaluation, no unit may be missing. Without `eval()` the network is
# evaluated with a random half of its units missing.

# %%
heading("6. Mistake: forgetting model.eval()")
torch.manual_seed(0)
layer, ones = nn.Dropout(0.5), torch.ones(100_000)
check("dropout in training, values", layer.train()(ones).unique(), [0, 2])
check("dropout in training, mean", layer(ones).mean(), 1, within=0.02)
check("dropout in eval, values", layer.eval()(ones).unique(), [1])
for mode, name in ((True, "train()"), (False, "eval() ")):
    spare.train(mode)
    with torch.no_grad():
        tries = [(spare(x[val]).argmax(dim=1) == y[val]).float().mean().item() for _ in range(2)]
    print(f"{name}  accuracy, twice on the same digits: {tries[0]:.1%}, {tries[1]:.1%}")
    assert (tries[0] != tries[1]) == mode

# %% [markdown]
# ## 7. Mistake: batches that are not shuffled
#
# Files are often sorted by class. Then one batch is all zeros, the next all ones, and each step
# undoes what the last one learned (lesson 3 draws it): in the end the network mostly predicts the
# class of the last batch.

# %%
heading("7. Mistake: batches that are not shuffled")
sorted_by_label = train[y[train].argsort(stable=True)]
for name in ("shuffled", "sorted by label"):
    net = copy.deepcopy(first)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
    for epoch in range(EPOCHS):
        batches.set_epoch(epoch)
        one_epoch(net, optimizer, batches.order() if name == "shuffled" else sorted_by_label)
    answers = net(x[val]).argmax(dim=1).bincount(minlength=10)
    accuracy = evaluate(net, val)[1]
    print(f"{name:<16} accuracy {accuracy:.1%}, predictions of 0 to 9: {answers.tolist()}")
most = answers.argmax()
print(f"sorted, it mostly predicts {most}: {answers[most]} times of {len(val)}")
check("the class of the last batch", y[sorted_by_label[-1]], most)

# %% [markdown]
# ## 8. Exercises
#
# 1. Remove `optimizer.zero_grad()` from `one_epoch`. Gradients then add up over all steps. Which
#    check fails first? (Not the bias after one step: there is nothing to add up yet. Lightning's
#    losses differ from the third step on.)
# 2. Let `small` be 1,000 digits instead of 100. Does the validation loss still rise? (Hardly, and
#    it is ten times lower: more data is the best remedy. The `assert` on it fails, as it should.)
# 3. Choose the epoch among 5 epochs instead of 40, or by 1,000 test digits instead of 100. (Both
#    reduce the luck: of the 2.2 points about half remains, or a tenth.)
