"""Lesson 3. Gradient descent: follow the slope downhill, and choose how large a step may be.

./scripts/run lesson 3 prints its values; 3_gradient_descent.ipynb is the same as a notebook.
"""

# %% [markdown]
# # Lesson 3. Gradient descent
# A model has numbers that can be changed, its weights. The loss is one number that says how wrong
# the model is. Training means finding weights with a small loss, and nearly every network is
# trained in the same way: find the direction in which the loss rises, take a small step the other
# way, repeat.

# %%
from functools import partial

import numpy as np
import torch
from drawings import descent as drawn
from kit import check, heading, show, show_moving
from torch.autograd.functional import hessian
from torch.func import grad
from torch.nn.functional import mse_loss
from torch.optim import SGD, Adam

# %% [markdown]
# ## 1. The slope, by hand and by PyTorch
# Three points, and lines y = w x through the origin with one weight w. The loss is the mean squared
# error. Its slope, called the gradient, follows from the rules of calculus:
#
#     L(w)  = 1/n Σ (w xᵢ - yᵢ)²
#     L'(w) = 2/n Σ (w xᵢ - yᵢ) xᵢ
#
# At w = 1 the line is below the points by 1, 2 and 3. So L = (1 + 4 + 9) / 3 = 14/3 and
# L' = 2/3 (-1·1 - 2·2 - 3·3) = -28/3: the loss falls as w grows. `backward()` of lesson 2 computes
# the same number.

# %%
heading("1. The slope, by hand and by PyTorch")
xs, ys = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 6.0])
w = torch.tensor(1.0, requires_grad=True)
error = mse_loss(w * xs, ys)
error.backward()
check("loss at w = 1", error, 14 / 3)
check("gradient at w = 1", w.grad, -28 / 3)

# %% [markdown]
# A step of gradient descent is w ← w - η L'(w), with the learning rate η. With η = 3/28 one step
# leads from 1 to 1 + 3/28 · 28/3 = 2, the best w, where the slope is 0 and descent stops.
# `backward()` adds to the existing gradient, so a loop calls `zero_grad()` first: lesson 2 shows
# what happens without it.

# %%
check("w after one step", w - 3 / 28 * w.grad, 2)
check("gradient at w = 2", grad(lambda w: mse_loss(w * xs, ys))(torch.tensor(2.0)), 0)
show(drawn.one_step(xs, ys), "3_loss")

# %% [markdown]
# ## 2. How large a step may be
# Now 64 points near a curve, sorted by x, and lines y = w x + b. How fast each slope changes with
# each weight is a 2 x 2 matrix, the Hessian H. For a line it is the same everywhere:
#
#     H = 2/n | Σ xᵢ²  Σ xᵢ |
#             | Σ xᵢ    n   |
#
# The loss surface is a bowl with two axes, the eigenvectors of H. Along each the loss is a
# parabola, and its eigenvalue λ says how steep. A step multiplies the distance to the minimum along
# an axis by 1 - ηλ, which reduces it as long as 1 - ηλ is between -1 and 1. So with L, the larger
# λ, descent converges for η < 2/L; above, each step ends further away on the other side. We try a
# rate that is too small, then 1/L, which needs one step along the steep axis but many along the
# other, and rates just below and above the bound.

# %%
heading("2. How large a step may be")
generator = torch.Generator().manual_seed(0)
x = (2 * torch.rand(64, generator=generator, dtype=torch.float64)).sort().values
y = x**2 - 1 / 3 + 0.2 * torch.randn(64, generator=generator, dtype=torch.float64)
start, best = torch.tensor([-0.5, -0.5]).double(), torch.from_numpy(np.polyfit(x, y, 1))  # w, b
everything = torch.arange(64)


def loss(weights, batch=everything, reduction="mean"):
    return mse_loss(weights[0] * x[batch] + weights[1], y[batch], reduction=reduction)


def descend(optimizer, batch_size=64, shuffle=True, passes=40):
    """Return the weights at the start and after each step, (steps + 1, 2)."""
    generator, weights = torch.Generator().manual_seed(0), start.clone().requires_grad_()
    stepper, path = optimizer([weights]), [start]
    for _ in range(passes):
        order = torch.randperm(64, generator=generator) if shuffle else everything
        for batch in order.split(batch_size):
            stepper.zero_grad()
            loss(weights, batch).backward()
            stepper.step()
            path.append(weights.detach().clone())
    return torch.stack(path)


bowl = 2 / 64 * torch.tensor([[(x * x).sum(), x.sum()], [x.sum(), 64]]).double()
check("Hessian", hessian(loss, start), bowl)
(_, steepest), axes_of_bowl = torch.linalg.eigh(bowl)
middle = (bowl[0, 0] + bowl[1, 1]) / 2
check("L, the larger eigenvalue", steepest, middle + (middle**2 - bowl.det()).sqrt())
bound = 2 / steepest.item()

curves = {}
names = ("too small", "1/L, steep axis at once", "just under 2/L", "just over: diverges")
for share, name in zip((0.02, 0.5, 0.99, 1.01), names, strict=True):
    path = descend(partial(SGD, lr=share * bound), passes=200)
    distance = (path - best) @ axes_of_bowl[:, 1]
    check(f"{share} · 2/L: a step multiplies distance by", distance[1] / distance[0], 1 - 2 * share)
    after = distance[200] / distance[0]
    check(f"{share} · 2/L: 200 steps multiply it by", after, (1 - 2 * share) ** 200)
    excess = [(loss(weights) - loss(best)).item() for weights in path]
    assert (excess[-1] < excess[0]) == (share < 1)
    print(f"  loss above the minimum: {excess[0]:.3g}, after 200 steps {excess[-1]:.3g}")
    curves[f"{share} · 2/L: {name}"] = excess
show(drawn.learning_rates(curves, bound), "3_learning_rate")

# %% [markdown]
# **A mistake: the sum instead of the mean.** With `reduction="sum"` the gradient is n times as
# large, and the bound is 2/(nL). With n = 64, the rate 1/L, good until now, ends 63 times as far
# away on the other side. (Old tutorials write "elementwise_mean", which is "mean", the default.)

# %%
slope, summed = grad(loss)(start), grad(loss)(start, reduction="sum")
check('gradient of "sum" / of "mean"', summed / slope, [64, 64])
one_step = (start - summed / steepest - best) @ axes_of_bowl[:, 1]
check('"sum" at 1/L multiplies distance by', one_step / distance[0], 1 - 64)

# %% [markdown]
# ## 3. Fewer samples per step, and better steps
# A step over all data is expensive with millions of samples. One sample is cheap, and its gradient
# is right on average: the mean of all 64 is the full gradient. *Stochastic* gradient descent takes
# one sample per step, *mini-batches* a few. One pass over the data then has 64 or 8 steps, not one.
# The price is that they never settle, since each batch has another gradient.
#
# *Momentum* keeps a velocity v ← 0.7 v + gradient and steps w ← w - η v: gradients that alternate
# cancel out, gradients in the same direction add up. *Adam* divides a running mean of the gradient
# by the root of a running mean of its square, for each weight separately. Its first step is η along
# each axis, however steep. Both overshoot at first. After 40 steps momentum has converged and Adam
# almost, while plain descent is still moving slowly along the flat axis.
#
# For a fair comparison each method has its own rate: 0.1 for all 64, mini-batches and momentum,
# 0.05 for one sample and 0.4 for Adam.

# %%
heading("3. Fewer samples per step, and better steps")
check("mean of 64 gradients", sum(grad(loss)(start, i) for i in everything) / 64, slope)

plain = partial(SGD, lr=0.1)
paths = {
    "all 64 per step": descend(plain),
    "one sample per step": descend(partial(SGD, lr=0.05), batch_size=1),
    "mini-batches of 8": descend(plain, batch_size=8),
    "all 64, momentum": descend(partial(SGD, lr=0.1, momentum=0.7)),
    "all 64, Adam": descend(partial(Adam, lr=0.4)),
}
by_hand, velocity = start, 0
for _ in range(3):
    velocity = 0.7 * velocity + bowl @ (by_hand - best)  # H (w - best) is the gradient
    by_hand = by_hand - 0.1 * velocity
check("momentum, three steps", paths["all 64, momentum"][3], by_hand)
check("Adam, first step", paths["all 64, Adam"][1] - start, -0.4 * slope.sign())

# %% [markdown]
# **A mistake: unshuffled batches.** Our points are sorted by x, as many files are by class. In this
# order, the last batch of each pass has only the largest x, where the points rise fastest. Each
# pass ends with a line that fits there and nowhere else.

# %%
in_order = descend(plain, batch_size=8, shuffle=False)
for name, path in {**paths, "mini-batches, sorted": in_order}.items():
    print(f"{name:<20} {len(path) - 1:>5} steps in 40 passes, loss {loss(path[-1]):.4f}")
print(f"{'least squares':<40} loss {loss(best):.4f}")
ends = {name: loss(path[-1]) - loss(best) for name, path in paths.items()}
assert ends["all 64, momentum"] < 0.001 < ends["all 64, Adam"] < ends["all 64 per step"] / 5
assert loss(in_order[-1]) > 1.2 * loss(best)
for name in ("all 64 per step", "all 64, momentum", "all 64, Adam"):
    steep = (paths[name] - best) @ axes_of_bowl[:, 1]  # negative past the minimum
    assert ((steep / steep[0]).min() < -0.1) == (name != "all 64 per step"), name
show_moving(*drawn.five_ways(x, y, paths, best), "3_paths", milliseconds=150)
passes = [[loss(w) for w in path[::8]] for path in (paths["mini-batches of 8"], in_order)]
show(drawn.order_of_batches(*passes, loss(best)), "3_order")

# %% [markdown]
# ## 4. Saddle points and minima
# The loss of a network is not a simple bowl. Consider
#
#     f(x, y) = x⁴/4 + x³/3 - x² + y²/2     with gradient  (x (x - 1) (x + 2),  y)
#
# The gradient is 0 at three points: a minimum at (1, 0), a deeper one at (-2, 0), and between them
# the *saddle point* (0, 0), where the Hessian has -2 and 1 on its diagonal: down along x, up along
# y. On the ridge x = 0 the slope in x is exactly 0, so plain descent that starts there converges to
# the saddle point. A little noise, like that of mini-batches, leaves the ridge, since each step
# multiplies the distance from it by 1 + 2η. Much noise also escapes from the shallow minimum.


# %%
def f(place):
    return place[0] ** 4 / 4 + place[0] ** 3 / 3 - place[0] ** 2 + place[1] ** 2 / 2


def noisy_descent(begin, noise, walkers=1000, rate=0.05):
    """Return the positions at the start and after each of 400 steps, (401, 2, walkers)."""
    generator = torch.Generator().manual_seed(0)
    path = [torch.tensor(begin).double()[:, None].expand(2, walkers)]
    for _ in range(400):
        slopes = grad(lambda places: f(places).sum())(path[-1])  # of each walker separately
        random = noise * torch.randn(2, walkers, generator=generator, dtype=torch.float64)
        path.append(path[-1] - rate * (slopes + random))
    return torch.stack(path)


heading("4. Saddle points and minima")
places = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-2.0, 0.0]])
check("gradient at (2, 3)", grad(f)(torch.tensor([2.0, 3.0])), [2 * (2 - 1) * (2 + 2), 3])
check("f at saddle point and minima", [f(place).item() for place in places], [0, -5 / 12, -8 / 3])
check("gradient there", torch.stack([grad(f)(place) for place in places]), torch.zeros(3, 2))
check("Hessian at the saddle point", hessian(f, places[0]), [[-2, 0], [0, 1]])
noiseless = noisy_descent([0.0, 1.5], noise=0, walkers=1)
noisy = noisy_descent([0.0, 1.5], noise=0.1)
check("from the ridge, plain descent ends at", noiseless[-1, :, 0], [0, 0])
check("with noise, share in the shallow minimum", (noisy[-1, 0] > 0.5).double().mean(), 0.5, 0.05)
left = {}
for noise in (0.1, 2, 4):
    left[noise] = (noisy_descent([1.0, 0.0], noise)[-1, 0] < -0.5).double().mean()
    print(f"noise {noise}: {left[noise]:.1%} of 1,000 left the shallow minimum for the deep one")
assert left[0.1] == 0 < left[2] < left[4]
show(drawn.saddle(f, noiseless, noisy, places), "3_saddle")

# %% [markdown]
# ## Exercises
# 1. Add `x = x - x.mean()` after the line of y in part 2, and run that part. What are H, its
#    eigenvalues and the bound now? (H is diagonal, its larger eigenvalue is 2 and the bound is 1.
#    The bowl is rounder, so descent needs far fewer steps: this is why inputs are normalised. Part
#    3 then stops, since its checks of 40 passes hold for the bowl before.)
# 2. In part 3, let stochastic descent divide its learning rate by the number of the pass. Does it
#    settle? (Yes: shrinking steps average out the noise.)
# 3. Start a millionth beside the ridge, at [1e-6, 1.5], without noise. When is x = 0.5 reached?
#    (Growth by 1.1 a step says ln(500,000) / ln 1.1 = 138. It takes 142: further out the slope is
#    less than 2x.)
