"""Lesson 2. Autograd: how PyTorch computes slopes, compared with the chain rule.

./scripts/run lesson 2 prints its values; 2_autograd.ipynb is the same as a notebook.
"""

# %% [markdown]
# # Lesson 2. Autograd
# Learning means changing numbers so that an error gets smaller. The slope (derivative) says in
# which direction to change a number, and how much that matters; all slopes of one result are its
# **gradient**. PyTorch computes them: it records each step of a calculation and goes back over the
# record. This is **autograd**.

# %%
import numpy as np
import torch
from drawings.autograd import descents, differences, record
from kit import check, heading, refuses, show

# %% [markdown]
# ## 1. A slope
# `requires_grad=True` turns autograd on for a tensor. $y = x^2 + 3x + 1$ has the slope
# $dy/dx = 2x + 3$, and at 2 that is 7.

# %%
heading("1. A slope")
x = torch.tensor(2.0, requires_grad=True)
y = x**2 + 3 * x + 1
check("y at 2", y, 2 * 2 + 3 * 2 + 1)
y.backward()
check("dy/dx at 2", x.grad, 2 * 2 + 3)

# %% [markdown]
# `x` is a **leaf**: you created it, it was not calculated. Its slope is stored in `x.grad`. `y` is
# a result, so it has a `grad_fn`: its last step, where `backward` starts. `backward` frees the
# record, so a second call fails: repeat the calculation first. Slopes need decimals.

# %%
print(f"x: leaf {x.is_leaf}, grad_fn {x.grad_fn}")
print(f"y: leaf {y.is_leaf}, grad_fn {y.grad_fn.name()}")
refuses("y.backward(), again", y.backward)
refuses("torch.tensor(2, requires_grad=True)", lambda: torch.tensor(2, requires_grad=True))

# %% [markdown]
# ## 2. The chain rule, step by step
# $z = (3(x + 2)^2 - 30)^2$ at 2. Cut it into small steps:
#
# $a = x + 2 = 4$, $b = 3a^2 = 48$, $c = b - 30 = 18$, $z = c^2 = 324$
#
# The slope of each step is easy, and the **chain rule** multiplies them, from the end to the start:
#
# $dz/dc = 2c = 36$, $dc/db = 1$, $db/da = 6a = 24$, $da/dx = 1$, so
# $dz/dx = 36 · 1 · 24 · 1 = 864$
#
# `backward` does exactly that. Only leaves keep their slope; `retain_grad` keeps those of the steps
# between, so that we can print them.

# %%
heading("2. The chain rule, step by step")
x = torch.tensor(2.0, requires_grad=True)
a = x + 2
b = 3 * a**2
c = b - 30
z = c**2
for step in (a, b, c):
    step.retain_grad()
z.backward()
check("z", z, 324)
check("dz/dc = 2 c", c.grad, 2 * 18)
check("dz/db = dz/dc * 1", b.grad, 36 * 1)
check("dz/da = dz/db * 6 a", a.grad, 36 * 6 * 4)
check("dz/dx = dz/da * 1", x.grad, 864 * 1)

# %% [markdown]
# ## 3. Is it right? Go a little to both sides
# A slope can be checked without a formula for it. Go $h$ to the right and $h$ to the left, and
# divide the difference of the values by the distance: $(z(x + h) - z(x - h)) / 2h$.
#
# The error is about $h^2 z'''/6$, here $144 h^2$. A smaller $h$ is better, until rounding errors
# dominate. So use `float64`; `torch.autograd.gradcheck` does all this for any function.


# %%
def steep(x):
    return (3 * (x + 2) ** 2 - 30) ** 2


def central_difference(function, x, h):
    """Return the slope of a function of one number, from two of its values."""
    return (function(x + h) - function(x - h)) / (2 * h)


heading("3. Is it right? Go a little to both sides")
two = torch.tensor(2.0, dtype=torch.float64)
check("central difference, h = 0.1", central_difference(steep, two, 0.1), 864 + 144 * 0.1**2)
check("central difference, h = 0.00001", central_difference(steep, two, 1e-5), 864)
assert torch.autograd.gradcheck(steep, two.clone().requires_grad_())
print("gradcheck agrees")

widths, kinds = 10.0 ** np.arange(-12, 0), (np.float32, np.float64)
errors = [abs(central_difference(steep, kind(2), widths.astype(kind)) - 864) for kind in kinds]
show(differences(widths, errors), "2_difference")

# %% [markdown]
# ## 4. Many outputs
# With several outputs and inputs there is a slope for each pair: the **Jacobian** $J$, a row for
# each output, a column for each input. Here $y = (x_1^2, x_1 x_2, 3 x_2)$ at (2, 3), worked out:
#
# $J = \begin{pmatrix} 2x_1 & 0 \\ x_2 & x_1 \\ 0 & 3 \end{pmatrix}$, here
# $J = \begin{pmatrix} 4 & 0 \\ 3 & 2 \\ 0 & 3 \end{pmatrix}$
#
# `backward` never builds it. It takes one weight for each output, $v$, and computes $v^T J$. For a
# single loss the weight is 1 and can be omitted. `torch.func.jacrev` computes all of $J$.

# %%
heading("4. Many outputs")


def three(x):
    """Return three outputs of two inputs."""
    return torch.stack([x[0] ** 2, x[0] * x[1], 3 * x[1]])


x = torch.tensor([2.0, 3.0], requires_grad=True)
v = torch.tensor([1.0, 10.0, 100.0])
refuses("three(x).backward(), without v", three(x).backward)
three(x).backward(v)
check("vᵀJ", x.grad, [1 * 4 + 10 * 3 + 100 * 0, 1 * 0 + 10 * 2 + 100 * 3])
check("J", torch.func.jacrev(three)(x), [[4, 0], [3, 2], [0, 3]])

# %% [markdown]
# ## 5. Gradients add up
# `backward` adds to `grad` and does not replace it. That is right within one calculation, where a
# number may be used twice. Between two training steps it is a mistake: reset `grad` first, to 0 or
# None. `zero_grad` of an optimizer does that for all its weights.

# %%
heading("5. Gradients add up")
x = torch.tensor(2.0, requires_grad=True)
for times in (1, 2, 3):
    (x**2 + 3 * x + 1).backward()
    check(f"x.grad after {times} x backward", x.grad, times * 7)
x.grad.zero_()
(x**2 + 3 * x + 1).backward()
check("x.grad, reset before", x.grad, 7)
torch.optim.SGD([x], lr=0.1).zero_grad()
print(f"x.grad after zero_grad: {x.grad}")

# %% [markdown]
# What does that do to training? Descend on $y$: $x ← x - 0.1 · (2x + 3)$. The minimum is at -1.5,
# and each step leaves 0.8 of the distance, so after $n$ steps $x = -1.5 + 3.5 · 0.8^n$. Without the
# reset, all earlier slopes are added, and $x$ oscillates forever.


# %%
def descend(reset, steps=60):
    """Return x at the start, 2, and after each step of gradient descent on y."""
    x = torch.tensor(2.0, requires_grad=True)
    path = [x.item()]
    for _ in range(steps):
        if reset:
            x.grad = None
        (x**2 + 3 * x + 1).backward()
        with torch.no_grad():  # the step itself must not be recorded: section 6
            x -= 0.1 * x.grad
        path.append(x.item())
    return path


correct, accumulated = descend(reset=True), descend(reset=False)
check("x after 10 steps", correct[10], -1.5 + 3.5 * 0.8**10)
furthest = max(abs(x + 1.5) for x in accumulated[40:])
print(f"without reset, x is still up to {furthest:.2f} away from -1.5 after 40 steps")
assert furthest > 3
show(descents(correct, accumulated), "2_descent")

# %% [markdown]
# ## 6. Without recording
# Under `no_grad` nothing is recorded: use it for training steps and for evaluation. `detach` gives
# the same number in the same memory without its history, so autograd treats it as a constant.
# `item()` returns a plain number: use it to sum losses for printing, or the sum keeps every record
# in memory.

# %%
heading("6. Without recording")
x = torch.tensor(2.0, requires_grad=True)
(x**2 + 3 * x + 1).backward()
refuses("x.sub_(0.1 * x.grad), recorded", lambda: x.sub_(0.1 * x.grad))
with torch.no_grad():
    x.sub_(0.1 * x.grad)
check("x after the step", x, 2 - 0.1 * 7)
x = torch.tensor(2.0, requires_grad=True)
check("from x to x.detach() in memory", x.detach().data_ptr() - x.data_ptr(), 0)
check("slope of x * x", torch.autograd.grad(x * x, x)[0], 2 + 2)
check("slope of x * x.detach()", torch.autograd.grad(x * x.detach(), x)[0], 2)
kept, plain = 0, 0
for _ in range(3):
    kept, plain = kept + x**2, plain + (x**2).item()
check("sum of three, as plain numbers", plain, 3 * 4)
print(f"kept holds {kept.grad_fn.name()}, plain is a {type(plain).__name__}")

# %% [markdown]
# ## 7. The record of a loss
# Two points, (1, 3) and (2, 5), a line $wx + b$ with $w = 1, b = 0$. The loss is the mean squared
# error plus a small penalty for large weights, $0.1 w^2$. The errors are $e = (-2, -3)$. By hand:
#
# $\text{loss} = (4 + 9)/2 + 0.1 = 6.6$, $d\,\text{loss}/db = 2 · \text{mean}(e) = -5$,
# $d\,\text{loss}/dw = 2 · \text{mean}(e x) + 0.2 w = -8 + 0.2 = -7.8$
#
# Two paths lead to $w$, and their slopes are added. `grad_fn.next_functions` leads from each step
# to the ones before it: `record` follows it and draws a box for each step. `backward` goes along
# the arrows, from the last step of the loss to the leaves.

# %%
heading("7. The record of a loss")
points, targets = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])
w, b = torch.tensor(1.0, requires_grad=True), torch.tensor(0.0, requires_grad=True)
loss = ((w * points + b - targets) ** 2).mean() + 0.1 * w**2
loss.backward()
check("loss", loss, (4 + 9) / 2 + 0.1)
check("dloss/dw", w.grad, 2 * (-2 * 1 - 3 * 2) / 2 + 0.2 * 1)
check("dloss/db", b.grad, 2 * (-2 - 3) / 2)
figure = record(loss, {w: "w", b: "b"}, "loss = mean((w x + b - y)²) + 0.1 w²")
show(figure, "2_record")

# %% [markdown]
# ## Exercises
# 1. By hand, then by `backward`: the slope of $(x^2 + 1)^3$ at 1. Expected: $3 · 2^2 · 2 = 24$.
# 2. Call `three(x).sum().backward()` on a fresh `x`. Which $v$ is that? Expected: (1, 1, 1), and
#    the sums of the columns of $J$, (7, 5).
# 3. Draw the `record` of `torch.tanh(w * 2 + b)`. What has no box, and why? Expected: boxes for
#    Tanh, Add, Mul, w and b; none for 2, which is a constant and has no slope.
