"""Lesson 5. The training loop: five repeated lines, and how to measure what they achieve.

./scripts/run lesson 5 prints its values; 5_training_loop.ipynb is the same as a notebook.
"""

# %% [markdown]
# # Lesson 5. The training loop
# A network learns by repeating five lines: reset the gradients, predict, compute the loss, compute
# the gradients, change the weights a little. The first half of this lesson writes them out, and
# then shows that Lightning does the same, number for number. The second half is about how to
# find out whether a network *generalises* or has only memorised its training samples.

# %%
import copy
from functools import partial

from drawings.generalisation import luck, overfitting
from kit import check, heading, show

import src.libraries  # noqa: F401  (first)

# isort: split
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import nn

from src.command.quiet import quieten
from src.data import MNIST
from src.models import ReLUMLP
from src.models.layers import multilayer

quieten()  # Lightning's tips

# %% [markdown]
# ## 1. Three sets of digits
# scikit-learn contains 1,797 small handwritten digits. The weights are fitted to one part of them,
# **train**. A second, **val** (validation), is for every other choice: how long to train, how wide
# the network is. The third, **test**, is used once, at the very end: it shows how good the result
# is on digits that were not used for fitting or choosing anything.
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
# One pass over the training digits is an *epoch*. It consists of *batches*, here of 100: a gradient
# from a hundred digits is good enough for a step, and cheap.


# %%
def one_epoch(net, optimizer, order):
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
def evaluate(net, digits):
    """Return loss, accuracy, and the mean probability of the wrong predictions."""
    output = net.eval()(x[digits])  # evaluation mode: dropout is off
    sure, answers = output.softmax(dim=1).max(dim=1)
    right = answers == y[digits]
    loss = F.cross_entropy(output, y[digits])
    return loss.item(), right.float().mean().item(), sure[~right].mean().item()


# %% [markdown]
# The order is shuffled again in each epoch. We use the project's shuffle, so that Lightning gets
# the same batches below. `SGD` is the simplest optimizer: it subtracts learning rate times
# gradient, which the check of one step verifies.

# %%
heading("2. The loop, by hand")
EPOCHS, RATE = 3, 0.05
torch.manual_seed(0)
model = ReLUMLP(hidden=[64], optimizer=partial(torch.optim.SGD, lr=RATE))
first, ours = copy.deepcopy(model.net), copy.deepcopy(model.net)  # the same initial weights
optimizer = torch.optim.SGD(ours.parameters(), lr=RATE)
batches = data.train_dataloader()
losses, val_losses = [], []
for epoch in range(EPOCHS):
    batches.set_epoch(epoch)
    losses += one_epoch(ours, optimizer, batches.order())
    loss, accuracy, _ = evaluate(ours, val)
    val_losses.append(loss)
    print(f"epoch {epoch + 1}: validation loss {loss:.4f}, accuracy {accuracy:.1%}")

batch, moved, bias = train[:100], copy.deepcopy(first), first[-1].bias
one_epoch(moved, torch.optim.SGD(moved.parameters(), lr=RATE), batch)
F.cross_entropy(first(x[batch]), y[batch]).backward()
by_hand = bias - RATE * bias.grad
check("a bias after one step: b - rate * gradient", moved[-1].bias[0], by_hand[0])

# %% [markdown]
# ## 3. The same, by Lightning
# `model` is a LightningModule: the same network with its loss and its optimizer. The Trainer runs
# the loop. The callback `Losses` only records. If the two differed in one batch, one weight or one
# sign, the losses would diverge within a few steps.


# %%
class Losses(Callback):
    """Records the loss of each step."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.values.append(outputs["loss"].item())


heading("3. The same, by Lightning")
recorded = Losses()
trainer = Trainer(max_epochs=EPOCHS, accelerator="cpu", callbacks=[recorded], logger=False,
                  enable_checkpointing=False, enable_progress_bar=False,
                  enable_model_summary=False, num_sanity_val_steps=0)  # fmt: skip
theirs = copy.deepcopy(model)  # so that this cell can be run again
trainer.fit(theirs, datamodule=data)

print("step   by hand      Lightning")
for step in range(5):
    print(f"{step:>4}   {losses[step]:.8f}   {recorded.values[step]:.8f}")
largest = (torch.tensor(losses) - torch.tensor(recorded.values)).abs().max()
check(f"largest difference in {len(losses)} steps", largest, 0)
check("validation loss after the last epoch", trainer.callback_metrics["val/loss"], val_losses[-1])

# %% [markdown]
# So what is Lightning for? For everything around the five lines: checkpoints, resuming after a
# crash, curves, several devices. In this project one command does it all: exercise 1.
#
# The test digits come last. Fewer of them are right, since most were written by other people than
# the training digits: validation measures accuracy on the same writers, test on new ones.

# %%
data.setup("test")
trainer.test(theirs, datamodule=data, verbose=False)
print(f"right: {accuracy:.1%} of the same writers, "
      f"{trainer.callback_metrics['test/acc']:.1%} of new writers")  # fmt: skip

# %% [markdown]
# ## 4. Overfitting
# A hundred digits, and 669,706 weights to fit them: the network can memorise each digit. Two
# remedies are tried from the same initial weights. *Dropout* sets a random half of the hidden units
# to zero in each step, so that no unit can rely on another. *Weight decay* reduces every weight by
# a hundredth (learning rate times decay, 0.001 * 10) in each step, so that only what many digits
# need remains. A hundred digits are one batch, so an epoch is one step here.
#
# Without a remedy, the validation loss soon rises again, while the training loss falls to almost 0.
# The accuracy does not fall: what grows is the confidence in wrong predictions. To keep the weights
# of the lowest validation loss, *early stopping*, is a third remedy.

# %%
heading("4. Overfitting")
small = train[:100]
remedies = {"no remedy": (0.0, 0.0), "dropout": (0.5, 0.0), "weight decay": (0.0, 10.0)}
line = "  {}: validation loss {:.3f}, accuracy {:.1%}, confidence if wrong {:.0%}"
on_train, on_val = {}, {}
for name, (dropout, decay) in remedies.items():
    torch.manual_seed(0)
    net = multilayer([784, 512, 512, 10], "relu", dropout)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.001, weight_decay=decay)
    on_train[name], on_val[name] = [], []
    for _ in range(100):
        one_epoch(net, optimizer, small)
        on_train[name].append(evaluate(net, small)[0])
        on_val[name].append(evaluate(net, val))
    print(f"{name}: training loss from {on_train[name][0]:.2f} to {on_train[name][-1]:.5f}")
    print(line.format("at the lowest", *min(on_val[name])))
    print(line.format("at the end", *on_val[name][-1]))
check("weights", sum(p.numel() for p in net.parameters()), 785 * 512 + 513 * 512 + 513 * 10)
last = {name: measured[-1][0] for name, measured in on_val.items()}
assert last["no remedy"] > 1.2 * max(last["dropout"], last["weight decay"])
show(overfitting(on_train, on_val), "5_overfitting")

# %% [markdown]
# ## 5. Mistake: choosing the epoch on the test set
# Many tutorials report the best test accuracy of all epochs. That best is partly luck: among forty
# epochs, one suits these test digits. To measure the luck, we draw 100 test and 100 validation
# digits from those not trained on, and call the rest *fresh*: over a thousand digits, which show
# the true accuracy of an epoch. We do twenty draws for each of ten trainings.

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
        on_test, by_val, on_fresh = (right[:, i].mean(dim=1) for i in (test_part, val_part, fresh))
        for best in (on_test.argmax(), by_val.argmax()):
            rows.append([on_test[best], on_fresh[best]])
points = 100 * torch.tensor(rows).view(200, 4)  # reported and true, chosen by test and by val
reported, true, honest, honest_true = points.mean(dim=0).tolist()
line = "epoch chosen by {:<11} reported test accuracy {:.1f} %, true {:.1f} %, {:+.1f} points"
print(line.format("test:", reported, true, reported - true))
print(line.format("validation:", honest, honest_true, honest - honest_true))
assert reported - true > 1  # selected for luck
assert abs(honest - honest_true) < 1  # luck averages out
show(luck(points[:, 0] - points[:, 1], points[:, 2] - points[:, 3]), "5_choosing_the_epoch")

# %% [markdown]
# ## 6. Mistake: forgetting `model.eval()`
# In training, dropout sets half of the units to zero and doubles the others, so that the mean of
# their sum is unchanged. Without `eval()` the network is evaluated with a random half missing.

# %%
heading("6. Mistake: forgetting model.eval()")
torch.manual_seed(0)
dropped = nn.Dropout(0.5).train()(torch.ones(100_000))
check("ones after dropout, values", dropped.unique(), [0, 2])
check("ones after dropout, mean", dropped.mean(), 1, within=0.02)
for name, net in (("train()", spare.train), ("eval()", spare.eval)):
    tries = [(net()(x[val]).argmax(dim=1) == y[val]).float().mean().item() for _ in range(2)]
    print(f"{name:<7} accuracy, twice on the same digits: {tries[0]:.1%}, {tries[1]:.1%}")
    assert (tries[0] != tries[1]) == (name == "train()")

# %% [markdown]
# ## Exercises
# 1. Train the same network by one command (without line breaks):
#    `./scripts/run fit --model ReLUMLP --model.hidden [64] --model.optimizer SGD
#    --model.optimizer.lr 0.05 --trainer.max_epochs 3 --data MNIST --data.source digits
#    --data.val_size 20000`. Compare its table. (The same val/loss and val/acc, to the last digit.)
# 2. Remove `optimizer.zero_grad()` from `one_epoch`. Which check fails first? (Not the bias after
#    one step: there is nothing to add up yet. Lightning's losses differ from the third step on.)
# 3. Let `small` be 1,000 digits instead of 100. Does the validation loss still rise? (Hardly, and
#    it is ten times lower: more data is the best remedy. The `assert` on it fails, as it should.)
# 4. Sort the digits by label, as many files are, and train without shuffling, in the order
#    `train[y[train].argsort(stable=True)]`. Which digit does the network predict most? (9, the
#    class of the last batch: 328 times of 513. 23.8 % are right.)
# 5. Choose the epoch among 5 epochs instead of 40, or by 1,000 test digits instead of 100. (Both
#    reduce the luck: of the 2.2 points about half remains, or a tenth.)
