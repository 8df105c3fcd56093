"""Lesson 4. Backpropagation: the gradient of every weight by the chain rule, with numpy alone."""

# %% [markdown]
# # Backpropagation
# The last lesson went downhill by the slope. But how does one find the slope for each of a
# network's weights? By the chain rule, from the loss backwards, layer by layer. This is all that
# `backward()` does. Here we write it out for a network of two layers, compare each number with
# PyTorch's, and train the network without PyTorch.

# %%
import numpy as np
import torch
from kit import check, heading, show
from matplotlib.colors import LinearSegmentedColormap
from torch.nn.functional import cross_entropy

from src.plots.style import BLACK, BLUE, GREEN, ORANGE, frame

# %% [markdown]
# ## 1. From scores to a loss
# A classifier gives each class a score, any number, also called logit. *Softmax* makes
# probabilities of them: positive, and 1 together. *Cross-entropy* is the surprise at the true
# class:
#
#     pₖ = exp(zₖ) / Σⱼ exp(zⱼ)        L = -ln p(true class)
#
# Scores ln 1, ln 2 and ln 5 give 1/8, 2/8 and 5/8. If the second class is true, the loss is ln 4.
#
# **A slip: overflow.** exp(1000) is more than a 64-bit number can hold, and infinity divided by
# infinity is not a number (nan). Only differences of scores count: if we subtract the largest
# first, exp is at most 1 and nothing else changes. And ln p is best had from the scores: of scores
# 0 and 1000 the first has ln p = -1000, but its p is rounded to 0, and ln 0 is minus infinity.


# %%
def naive(z):
    with np.errstate(over="ignore", invalid="ignore"):
        return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def log_softmax(z):
    """Return ln p for scores (..., classes)."""
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


heading("1. From scores to a loss")
scores = np.log([1.0, 2.0, 5.0])
check("softmax of ln 1, ln 2, ln 5", np.exp(log_softmax(scores)), [1 / 8, 2 / 8, 5 / 8])
check("loss if the second is true", -log_softmax(scores)[1], np.log(4))
print(f"scores 1000 higher, naive: {naive(scores + 1000)}")
check("the same, largest subtracted", np.exp(log_softmax(scores + 1000)), [1 / 8, 2 / 8, 5 / 8])
check("ln p of scores 0 and 1000", log_softmax(np.array([0.0, 1000.0])), [-1000, 0])
with np.errstate(over="ignore"):
    print(f"in 32 bits exp(88) is {np.exp(np.float32(88)):.3g}, exp(89) {np.exp(np.float32(89))}")

# %% [markdown]
# ## 2. Forward, and back
# Two spirals, 100 points each, and a network of two layers: 2 inputs, 16 hidden units, 2 classes.
#
#     Z1 = X W1 + b1      (200, 16)    X is (200, 2), W1 (2, 16), b1 (16)
#     A  = tanh(Z1)       (200, 16)    without the bend, two layers would be one
#     Z2 = A W2 + b2      (200, 2)     W2 is (16, 2), b2 (2)
#     P  = softmax(Z2)    (200, 2)     L = mean of -ln P at the true class
#
# Write dZ for the slope of L with respect to Z, a table of Z's shape. The chain rule says: the
# slope at the input of a step is the slope at its output times the slope of the step. For softmax
# and cross-entropy together this is as simple as can be: what the network said minus what is true,
# P - Y, where Y has a 1 at the true class. For a product X W it is a product with the other factor,
# and there is only one order in which the shapes fit.

# %%
heading("2. Forward, and back")
z = torch.from_numpy(scores).requires_grad_()
cross_entropy(z, torch.tensor(1)).backward()
check("slope for the scores, p - y", z.grad, [1 / 8, 2 / 8 - 1, 5 / 8])

radius = np.tile(np.linspace(0.15, 1, 100), 2)
y = np.repeat([0, 1], 100)
angle = 2.2 * np.pi * radius + np.pi * y
X = 2 * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (200, 2)
X = X + 0.06 * np.random.default_rng(0).normal(size=X.shape)
Y = np.eye(2)[y]  # (200, 2)


def fresh(hidden=16):
    generator = np.random.default_rng(1)
    W1, b1 = generator.normal(size=(2, hidden)), generator.normal(size=hidden)
    return [W1, b1, 0.1 * generator.normal(size=(hidden, 2)), np.zeros(2)]


def forward(X, W1, b1, W2, b2):
    """Return what the hidden units say (n, hidden) and ln P (n, 2)."""
    A = np.tanh(X @ W1 + b1)
    return A, log_softmax(A @ W2 + b2)


def backward(A, log_P, W2):
    """Return the slopes of the loss for W1, b1, W2 and b2."""
    # L = -1/n Σ ln P[i, yᵢ]:                dZ2 = (P - Y) / n
    dZ2 = (np.exp(log_P) - Y) / len(Y)  # (200, 2)
    # Z2 = A W2 + b2:                        dW2 = Aᵀ dZ2,  db2 = Σᵢ dZ2,  dA = dZ2 W2ᵀ
    dW2 = A.T @ dZ2  # (16, 200) (200, 2) = (16, 2)
    db2 = dZ2.sum(axis=0)  # (2)
    dA = dZ2 @ W2.T  # (200, 2) (2, 16) = (200, 16)
    # A = tanh(Z1), tanh' = 1 - tanh²:       dZ1 = dA (1 - A²), number by number
    dZ1 = dA * (1 - A**2)  # (200, 16)
    # Z1 = X W1 + b1:                        dW1 = Xᵀ dZ1,  db1 = Σᵢ dZ1
    dW1 = X.T @ dZ1  # (2, 200) (200, 16) = (2, 16)
    db1 = dZ1.sum(axis=0)  # (16)
    return [dW1, db1, dW2, db2]


def mean_loss(log_P):
    return -log_P[np.arange(len(y)), y].mean()


# %% [markdown]
# Now the same in PyTorch, and `backward()`. They must agree to the twelfth digit, as both
# calculate with 64 bits. And one weight in a way that needs no rule at all: nudge it up and down a
# little, and see how the loss changes.

# %%
weights = fresh()
A, log_P = forward(X, *weights)
slopes = backward(A, log_P, weights[2])

twins = [torch.from_numpy(weight).requires_grad_() for weight in weights]
hidden = torch.tanh(torch.from_numpy(X) @ twins[0] + twins[1])
loss = cross_entropy(hidden @ twins[2] + twins[3], torch.from_numpy(y))
loss.backward()
check("loss", loss, mean_loss(log_P), within=1e-12)
for name, twin, slope in zip(("W1", "b1", "W2", "b2"), twins, slopes, strict=True):
    check(f"d{name} {slope.shape}", twin.grad, slope, within=1e-12)

nudged = []
for nudge in (1e-5, -1e-5):
    moved = [weight.copy() for weight in weights]
    moved[0][1, 3] += nudge
    nudged.append(mean_loss(forward(X, *moved)[1]))
check("dW1[1, 3], nudged", (nudged[0] - nudged[1]) / 2e-5, slopes[0][1, 3], within=1e-8)

# %% [markdown]
# ## 3. Training, with numpy alone
# All that is left is to step downhill. The fresh network is about as good as guessing, and guessing
# between two classes costs ln 2 = 0.693. The boundary, where both have probability 1/2, runs
# anywhere then. As hidden units turn and shift their bends, it winds itself around the spirals.

# %%
heading("3. Training, with numpy alone")
losses, shapes = [], {}
ends = np.linspace(-2.4, 2.4, 200)
plane = np.stack(np.meshgrid(ends, ends), axis=-1).reshape(-1, 2)  # (40000, 2)
for step in range(3001):
    A, log_P = forward(X, *weights)
    losses.append(mean_loss(log_P))
    if step in (0, 100, 3000):
        accuracy = (log_P.argmax(axis=1) == y).mean()
        shapes[step] = np.exp(forward(plane, *weights)[1][:, 1]).reshape(200, 200), accuracy
        print(f"step {step:>4}: loss {losses[-1]:.4f}, {accuracy:.1%} right")
    slopes = backward(A, log_P, weights[2])
    weights = [weight - 0.5 * slope for weight, slope in zip(weights, slopes, strict=True)]
print(f"guessing would cost ln 2 = {np.log(2):.4f}")
check("share right at last", accuracy, 1)

figure, all_axes = frame(11, 4.5, ncols=3, sharey=True)
colors = LinearSegmentedColormap.from_list("classes", [BLUE, "white", ORANGE])
for axes, (step, (p, accuracy)) in zip(all_axes, shapes.items(), strict=True):
    axes.imshow(p, colors, origin="lower", extent=(-2.4, 2.4, -2.4, 2.4), vmin=0, vmax=1, alpha=0.6)
    axes.contour(ends, ends, p, [0.5], colors=BLACK)
    for label, color in enumerate((BLUE, ORANGE)):
        axes.scatter(*X[y == label].T, s=14, color=color, edgecolors="white", linewidths=0.4)
    axes.set(xlabel="first input", title=f"step {step:,}: {accuracy:.0%} right")
all_axes[0].set(ylabel="second input")
figure.suptitle("The boundary (black) winds itself around the spirals")
show(figure, "4_boundary")

figure, axes = frame(6.5, 4)
axes.semilogy(losses, color=BLUE, label="training loss")
axes.axhline(np.log(2), color=ORANGE, linestyle="--", label="guessing, ln 2")
axes.set(xlabel="step", ylabel="mean cross-entropy", title="Far below guessing, by numpy alone")
axes.legend()
show(figure, "4_loss")

# %% [markdown]
# ## 4. Two slips at the loss
# **Labels as floats.** Class numbers are indices, so PyTorch wants them as int64. Floats in the
# shape of the scores mean something else, a probability for each class; then a 1 at the true class
# gives the same loss, and nobody checks that they are probabilities. So read labels as integers,
# or turn them with `.long()`.

# %%
heading("4. Two slips at the loss")
z, labels = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]]), torch.tensor([0, 1])
try:
    cross_entropy(z, labels.float())
except RuntimeError as error:
    print(f"labels as floats, PyTorch says: {error}")
by_hand = (np.log(np.e**2 + np.e + 1) - 2 + np.log(2 + np.e**3) - 3) / 2
check("labels as int64", cross_entropy(z, labels.float().long()), by_hand)
check("as floats of the scores' shape", cross_entropy(z, torch.eye(3)[labels]), by_hand)
ten_times = cross_entropy(z, 10 * torch.eye(3)[labels])
check("no probabilities, and no complaint", ten_times, 10 * by_hand)

# %% [markdown]
# **Softmax twice.** `cross_entropy` takes scores and applies softmax itself. If the network ends
# in softmax, too, it sees "scores" from 0 to 1. Nothing fails and something is learned, but badly.
# Let m be the lead of the true class over the other. Then
#
#     once:   L = ln(1 + exp(-m))        from 0 up, with slope -1 where all is wrong
#     twice:  L = ln(1 + exp(-t))        with t = p(true) - p(other) = tanh(m/2), from -1 to 1
#
# So the loss never falls below ln(1 + 1/e) = 0.313 (with ten classes ln(1 + 9/e) = 1.461: if your
# loss stops there, you know why). And worse, where the network is surely wrong the slope is almost
# 0, so that the examples that should teach most teach nothing.

# %%
m = torch.linspace(-8, 8, 161, dtype=torch.float64, requires_grad=True)
pair, true = torch.stack([m, torch.zeros_like(m)], dim=1), torch.zeros(161, dtype=torch.long)
once = cross_entropy(pair, true, reduction="none")
twice = cross_entropy(pair.softmax(dim=1), true, reduction="none")
lead = m.detach().numpy()
check("once", once, np.log1p(np.exp(-lead)))
check("twice", twice, np.log1p(np.exp(-np.tanh(lead / 2))))
perfect = torch.tensor([[1.0] + 9 * [0.0]])  # of ten classes
check("least with ten classes", cross_entropy(perfect, true[:1]), np.log(1 + 9 / np.e))
(slope_once,) = torch.autograd.grad(once.sum(), m)
(slope_twice,) = torch.autograd.grad(twice.sum(), m)
check("slope once, at m = -8", slope_once[0], -1 / (1 + np.exp(-8)))
bend = (1 - np.tanh(-4) ** 2) / 2  # tanh(m/2)' at m = -8
check("slope twice, at m = -8", slope_twice[0], -bend / (1 + np.exp(np.tanh(-4))))

figure, axes = frame(6.5, 4)
axes.plot(lead, once.detach(), color=GREEN, label="cross_entropy(scores)")
axes.plot(lead, twice.detach(), color=ORANGE, label="cross_entropy(softmax(scores))")
axes.axhline(np.log1p(np.exp(-1)), color=BLACK, linestyle=":", label="ln(1 + 1/e) = 0.313")
axes.set(xlabel="lead of the true class over the other", ylabel="loss")
axes.set_title("Softmax twice: flat where it should be steep, and never 0")
axes.legend()
show(figure, "4_softmax_twice")

# %% [markdown]
# ## Exercises
# 1. Replace tanh by ReLU, A = max(0, Z1). Which line of `backward` changes, and to what?
#    (dZ1 = dA * (A > 0). The comparison with PyTorch tells whether you are right.)
# 2. Start with all weights at zero. What is learned? (Nothing: A and W2 are 0, so dW2 and dA are,
#    too, and the loss stays at ln 2. Hidden units must differ at first.)
# 3. Train with 2, 3 and 4 hidden units, as `fresh(4)` gives them. How many does it take to wind
#    around? (Of the points 60 %, 89 % and 100 % come out right.)
