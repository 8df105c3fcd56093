"""Lesson 4. Backpropagation: the gradient of each weight by the chain rule, in numpy alone.

./scripts/run lesson 4 prints its values; 4_backpropagation.ipynb is the same as a notebook.
"""

# %% [markdown]
# # Lesson 4. Backpropagation
# The last lesson followed the slope downhill. How is the slope of each weight of a network
# computed? By the chain rule, from the loss backwards, layer by layer. This is all that
# `backward()` does. Here we write it out for a network of two layers, compare each number with
# PyTorch's, and train the network without PyTorch.

# %%
import numpy as np
import torch
from drawings.boundary import boundaries
from kit import check, heading, refuses, show
from torch.func import grad
from torch.nn.functional import cross_entropy

# %% [markdown]
# ## 1. From scores to a loss
# A classifier gives each class a score, any number, also called logit. *Softmax* turns scores into
# probabilities: positive, with sum 1. *Cross-entropy* is minus the logarithm of the probability of
# the true class: 0 if it is 1, large if it is near 0.
#
#     pₖ = exp(zₖ) / Σⱼ exp(zⱼ)        L = -ln p(true class)
#
# Scores ln 1, ln 2 and ln 5 give 1/8, 2/8 and 5/8. If the second class is true, the loss is ln 4.
#
# **A mistake: overflow.** exp(1000) is more than a 64-bit number can hold, and infinity divided by
# infinity is not a number (nan). Only differences of scores count: if we subtract the largest
# first, exp is at most 1 and nothing else changes. And ln p is best computed from the scores: of
# scores 0 and 1000 the first has ln p = -1000, but its p is rounded to 0, and ln 0 is minus
# infinity.


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
print(f"scores 1000 larger, naive: {naive(scores + 1000)}")
assert np.isnan(naive(scores + 1000)).all()
check("the same, largest subtracted", np.exp(log_softmax(scores + 1000)), [1 / 8, 2 / 8, 5 / 8])
check("ln p of scores 0 and 1000", log_softmax(np.array([0.0, 1000.0])), [-1000, 0])

# %% [markdown]
# ## 2. Forward, and back
# Two spirals, 100 points each, and a network of two layers: 2 inputs, 16 hidden units, 2 classes.
#
#     Z1 = X W1 + b1      (200, 16)    X is (200, 2), W1 (2, 16), b1 (16)
#     A  = tanh(Z1)       (200, 16)    without tanh, the two products could be written as one
#     Z2 = A W2 + b2      (200, 2)     W2 is (16, 2), b2 (2)
#     P  = softmax(Z2)    (200, 2)     L = mean of -ln P at the true class
#
# Write dZ for the slope of L with respect to Z, which has Z's shape. The chain rule says: the slope
# at the input of a step is the slope at its output times the slope of the step. If a number is used
# several times, its slopes are added.
#
# **Softmax and cross-entropy together.** For one point of true class t, L = -zₜ + ln Σⱼ exp(zⱼ). So
#
#     dL/dzₖ = exp(zₖ) / Σⱼ exp(zⱼ), minus 1 if k = t
#
# This is prediction minus truth, P - Y, where Y has a 1 at the true class. The loss is a mean over
# n points, so each counts 1/n, and dZ2 = (P - Y) / n.
#
# **A product.** Z2[i,k] = Σₕ A[i,h] W2[h,k] + b2[k]. Here W2[h,k] is used by each point i, and
# A[i,h] for each class k:
#
#     W2[h,k] gets Σᵢ A[i,h] dZ2[i,k]      that is, dW2 = Aᵀ dZ2
#     A[i,h]  gets Σₖ dZ2[i,k] W2[h,k]     that is, dA = dZ2 W2ᵀ
#     b2[k]   gets Σᵢ dZ2[i,k]             that is, db2 = the sum of dZ2 over the points

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


def initial_weights(hidden=16):
    generator = np.random.default_rng(1)
    W1, b1 = generator.normal(size=(2, hidden)), generator.normal(size=hidden)
    return [W1, b1, 0.1 * generator.normal(size=(hidden, 2)), np.zeros(2)]


def forward(X, W1, b1, W2, b2):
    """Return the values of the hidden units (n, hidden) and ln P (n, 2)."""
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
    # A = tanh(Z1), tanh' = 1 - tanh²:       dZ1 = dA (1 - A²), element by element
    dZ1 = dA * (1 - A**2)  # (200, 16)
    # Z1 = X W1 + b1:                        dW1 = Xᵀ dZ1,  db1 = Σᵢ dZ1
    dW1 = X.T @ dZ1  # (2, 200) (200, 16) = (2, 16)
    db1 = dZ1.sum(axis=0)  # (16)
    return [dW1, db1, dW2, db2]


def mean_loss(log_P):
    return -log_P[np.arange(len(y)), y].mean()


# %% [markdown]
# Now the same with PyTorch's `backward()`. They must agree to the twelfth digit, as both calculate
# with 64 bits. One weight is also checked without any rule: change it a little up and down, and see
# how the loss changes.

# %%
weights = initial_weights()
A, log_P = forward(X, *weights)
slopes = backward(A, log_P, weights[2])

copies = [torch.from_numpy(weight).requires_grad_() for weight in weights]
hidden = torch.tanh(torch.from_numpy(X) @ copies[0] + copies[1])
loss = cross_entropy(hidden @ copies[2] + copies[3], torch.from_numpy(y))
loss.backward()
check("loss", loss, mean_loss(log_P), within=1e-12)
for name, copy, slope in zip(("W1", "b1", "W2", "b2"), copies, slopes, strict=True):
    check(f"d{name} {slope.shape}", copy.grad, slope, within=1e-12)

nudged = []
for nudge in (1e-5, -1e-5):
    moved = [weight.copy() for weight in weights]
    moved[0][1, 3] += nudge
    nudged.append(mean_loss(forward(X, *moved)[1]))
check("dW1[1, 3], by differences", (nudged[0] - nudged[1]) / 2e-5, slopes[0][1, 3], within=1e-8)

# %% [markdown]
# ## 3. Training, with numpy alone
# What remains is gradient descent. The untrained network is about as good as guessing, and the loss
# of guessing between two classes is ln 2 = 0.693. The boundary, where both have probability 1/2, is
# arbitrary at first. In training it winds around the spirals.

# %%
heading("3. Training, with numpy alone")
weights, losses, shapes = initial_weights(), [], {}
ends = np.linspace(-2.4, 2.4, 200)
plane = np.stack(np.meshgrid(ends, ends), axis=-1).reshape(-1, 2)  # (40000, 2)
for step in range(3001):
    A, log_P = forward(X, *weights)
    losses.append(mean_loss(log_P))
    if step in (0, 100, 3000):
        accuracy = (log_P.argmax(axis=1) == y).mean()
        title = f"step {step:,}: loss {losses[-1]:.4f}, {accuracy:.1%} right"
        shapes[title] = np.exp(forward(plane, *weights)[1][:, 1]).reshape(200, 200)
        print(title)
    slopes = backward(A, log_P, weights[2])
    weights = [weight - 0.5 * slope for weight, slope in zip(weights, slopes, strict=True)]
check("initial loss, about that of guessing", losses[0], np.log(2), within=0.05)
check("final accuracy", accuracy, 1)
show(boundaries(X, y, ends, shapes), "4_boundary")

# %% [markdown]
# ## 4. Two mistakes with the loss
# **Labels as floats.** Class numbers are indices, so PyTorch expects int64. Floats in the shape of
# the scores mean a probability for each class; a 1 at the true class then gives the same loss, but
# PyTorch does not check that they are probabilities. So load labels as integers, or convert them
# with `.long()`.

# %%
heading("4. Two mistakes with the loss")
z, labels = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]]), torch.tensor([0, 1])
refuses("labels as floats", lambda: cross_entropy(z, labels.float()))
by_hand = (np.log(np.e**2 + np.e + 1) - 2 + np.log(2 + np.e**3) - 3) / 2
check("labels as int64", cross_entropy(z, labels.float().long()), by_hand)
check("as floats of the scores' shape", cross_entropy(z, torch.eye(3)[labels]), by_hand)
ten_times = cross_entropy(z, 10 * torch.eye(3)[labels])
check("not probabilities, but no error", ten_times, 10 * by_hand)

# %% [markdown]
# **Softmax twice.** `cross_entropy` applies softmax itself. If the network also does, there is no
# error, but its "scores" are between 0 and 1. So with ten classes the loss never falls below
# ln(1 + 9/e) = 1.461: if yours stops there, you know why. And where the network is confidently
# wrong, the slope is almost 0: the samples that should teach most teach nothing.

# %%
perfect, true = 100 * torch.eye(10)[:1], torch.tensor([0])
wrong = torch.tensor([[-8.0, 0.0]], dtype=torch.float64)
check("smallest loss, softmax twice", cross_entropy(perfect.softmax(1), true), np.log(1 + 9 / np.e))
p = 1 / (1 + np.exp(8))  # of the true class, as softmax gives it
r = 1 / (1 + np.exp(1 - 2 * p))  # as softmax of (p, 1 - p) gives it
once = grad(lambda z: cross_entropy(z, true))(wrong)
twice = grad(lambda z: cross_entropy(z.softmax(1), true))(wrong)
check("slopes where wrong, softmax once", once, [[p - 1, 1 - p]])
slope = 2 * (r - 1) * p * (1 - p)  # (r - 1) dp + (1 - r) d(1 - p), and dp = p (1 - p) dz
check("slopes where wrong, softmax twice", twice, [[slope, -slope]])

# %% [markdown]
# ## Exercises
# 1. Replace tanh by ReLU, A = max(0, Z1). Which line of `backward` changes, and to what?
#    (dZ1 = dA * (A > 0). The comparison with PyTorch shows whether you are right.)
# 2. Start with all weights at zero. What is learned? (Nothing: A and W2 are 0, so dW2 and dA are
#    also 0, and the loss stays at ln 2. Hidden units must differ at first.)
# 3. Train with 2, 3 and 4 hidden units, e.g. by `initial_weights(4)`. How many are needed to
#    separate the spirals? (The accuracies are 60 %, 89 % and 100 %.)
