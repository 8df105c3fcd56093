"""Lesson 1. Tensors: tables of numbers, operations on them, and how memory stores them.

./scripts/run lesson 1 prints its values; 1_tensors.ipynb is the same as a notebook.
"""

# %% [markdown]
# # Lesson 1. Tensors
# A tensor is a table of numbers: a single number, a list, a table of rows and columns, a stack of
# tables, and so on. Images, weights and losses are all tensors.

# %%
import numpy as np
import torch
from drawings.tensors import broadcasting, confidence, memory
from kit import check, heading, refuses, show
from sklearn.datasets import load_digits

# %% [markdown]
# ## 1. Making tensors
# `torch.tensor` makes a tensor of given numbers; `shape` says how long each axis is.

# %%
heading("1. Making tensors")
table = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
check("shape: rows, columns", table.shape, (2, 3))
check("zeros(2, 3)", torch.zeros(2, 3), [[0, 0, 0], [0, 0, 0]])
check("new_ones(2): ones of the type of table", table.new_ones(2), [1, 1])

# %% [markdown]
# Random numbers: `rand` draws uniformly between 0 and 1, so the mean is 1/2; `randn` draws from the
# normal distribution with mean 0 and standard deviation 1. `randn_like` takes shape and type from
# another tensor.

# %%
torch.manual_seed(0)  # the same numbers in each run
check("mean of 100,000 from rand", torch.rand(100_000).mean(), 0.5, within=0.01)
check("standard deviation of as many from randn", torch.randn(100_000).std(), 1, within=0.01)
check("shape of randn_like(table)", torch.randn_like(table).shape, (2, 3))

# %% [markdown]
# `empty` allocates memory without initialising it. Its values are what the memory held before:
# zeros, or the numbers of a deleted tensor. Write to it before you read from it.

# %%
gone = torch.full((100_000,), 7.0)
del gone
sevens = (torch.empty(100_000) == 7).sum()
print(f"of 100,000 values of empty, {sevens:,} are old sevens: the next run may differ")
check("empty(2), filled before it is read", torch.empty(2).fill_(1.5), [1.5, 1.5])

# %% [markdown]
# `from_numpy` shares the memory of the array: a change to one changes both. A method whose name
# ends in `_` works **in place**, so `shared.add_(1)` also changes the array. That is fast, but
# surprising if you did not intend it. `torch.tensor` copies.

# %%
array = np.zeros(3, dtype=np.float32)
shared, copied = torch.from_numpy(array), torch.tensor(array)
array[0] = 9
check("from_numpy, after array[0] = 9", shared, [9, 0, 0])
check("torch.tensor, after array[0] = 9", copied, [0, 0, 0])
shared.add_(1)
check("the array, after shared.add_(1)", array, [10, 1, 1])

# %% [markdown]
# ## 2. Type and device
# `dtype` is the type of the numbers. Integers become `int64`, decimals `float32`; NumPy's decimals
# are `float64`, and a matrix product of the two types is refused. Networks use `float32`, so
# convert with `.float()`. The mean of integers need not be an integer, so PyTorch refuses it:
# convert first.

# %%
heading("2. Type and device")
wide = torch.from_numpy(np.ones(3))
print(torch.tensor([1, 2]).dtype, torch.tensor([1.0, 2.0]).dtype, wide.dtype)
refuses("table @ wide", lambda: table @ wide)
check("table @ wide.float(): sums of the rows", table @ wide.float(), [6, 15])
refuses("torch.tensor([1, 2]).mean()", lambda: torch.tensor([1, 2]).mean())

# %% [markdown]
# `device` is where the tensor is stored: `"cpu"` or, on a GPU, `"cuda"`. This code runs on both.
# `to` returns the moved tensor and leaves the original in place, so keep the result. Before
# `.numpy()`, `.detach()` drops the record that lesson 2 is about, and `.cpu()` moves the tensor
# back.

# %%
device = "cuda" if torch.cuda.is_available() else "cpu"
weights = torch.tensor([1.0, 2.0], requires_grad=True)
on_device = weights.to(device)
print(f"on_device is on {on_device.device.type}, weights still on {weights.device.type}")
refuses("on_device.numpy()", lambda: on_device.numpy())
check("on_device.detach().cpu().numpy()", on_device.detach().cpu().numpy(), [1, 2])

# %% [markdown]
# ## 3. Slices are views
# Indices start at 0, the end is exclusive, `-1` is the last, `:` is all. A slice is a **view**: it
# shares the memory. Writing to it changes the original. To keep its values, `clone` the slice.

# %%
heading("3. Slices are views")
grid = torch.arange(12).view(3, 4)
check("grid[1], the second row", grid[1], [4, 5, 6, 7])
check("grid[:, 0], the first column", grid[:, 0], [0, 4, 8])
check("grid[-1, 1:3]", grid[-1, 1:3], [9, 10])
own, column = grid[:, 0].clone(), grid[:, 0]
column[0] = 100
check("grid[0, 0], after column[0] = 100", grid[0, 0], 100)
check("own[0], which was cloned before", own[0], 0)

# %% [markdown]
# ## 4. view, reshape, and where the numbers lie
# Memory is one long row of numbers. A tensor has **strides**: how far apart in memory neighbours
# along each axis are. Element `[i, j]` is at position `i * stride(0) + j * stride(1)`. Transposing
# (`.T`) moves no number, it swaps the strides. Read row by row, `flipped` jumps back and forth: it
# is not **contiguous**. `view` never moves a number, so it refuses; `reshape` copies if necessary.
# Neither of them transposes: they keep the numbers in reading order.

# %%
heading("4. view, reshape, and where the numbers lie")
rows = torch.arange(6).view(2, 3)
flipped = rows.T
check("strides of rows", rows.stride(), (3, 1))
check("strides of flipped", flipped.stride(), (1, 3))
check("place of flipped[2, 1] in memory", 2 * flipped.stride(0) + 1 * flipped.stride(1), 5)
refuses("flipped.view(6)", lambda: flipped.view(6))
check("flipped.reshape(6), a copy", flipped.reshape(6), [0, 3, 1, 4, 2, 5])
assert flipped.reshape(6).data_ptr() != rows.data_ptr()  # other memory
check("rows.view(3, 2) does not transpose", rows.view(3, 2), [[0, 1], [2, 3], [4, 5]])
check("flipped does", flipped, [[0, 3], [1, 4], [2, 5]])
show(memory(rows), "1_memory")

# %% [markdown]
# ## 5. Broadcasting
# Tensors of different shapes can be added. Align the shapes **from the right**; a missing axis
# counts as 1; two lengths must be equal, or one must be 1 and is then repeated. So (3, 1) and (4,)
# become (3, 4). Nothing is copied: the stride of a repeated axis is 0.

# %%
heading("5. Broadcasting")
down, across = torch.tensor([[0], [10], [20]]), torch.tensor([1, 2, 3, 4])
check("first row of down + across", (down + across)[0], [1, 2, 3, 4])
check("last row of down + across", (down + across)[2], [21, 22, 23, 24])
check("strides of across.expand(3, 4)", across.expand(3, 4).stride(), (0, 1))
refuses("(3,) + (4,)", lambda: torch.ones(3) + torch.ones(4))

# %% [markdown]
# A common mistake: a model returns (n, 1), the targets are (n,), and their difference is (n, n),
# each prediction minus every target. There is no error; the loss is just wrong. Below, all
# predictions are right, so the mean squared error is 0. The mistake gives nine squares: 0 three
# times, 1 four times and 4 twice. Their mean is 12 / 9.

# %%
predicted, target = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1.0, 2.0, 3.0])
check("shape of (3, 1) - (3,)", (predicted - target).shape, (3, 3))
check("wrong: ((predicted - target) ** 2).mean()", ((predicted - target) ** 2).mean(), 12 / 9)
check("right: predicted.squeeze(1) - target", ((predicted.squeeze(1) - target) ** 2).mean(), 0)
show(broadcasting(down, across, predicted, target), "1_broadcasting")

# %% [markdown]
# ## 6. `*` and `@`
# `*` multiplies element by element. `@` is the matrix product: row times column, summed. The shapes
# (n, k) @ (k, m) give (n, m); the inner lengths must be equal. Network layers are built on `@`.

# %%
heading("6. * and @")
A, B = torch.tensor([[1, 2], [3, 4]]), torch.tensor([[5, 6], [7, 8]])
check("A * B", A * B, [[1 * 5, 2 * 6], [3 * 7, 4 * 8]])
check("A @ B", A @ B, [[1 * 5 + 2 * 7, 1 * 6 + 2 * 8], [3 * 5 + 4 * 7, 3 * 6 + 4 * 8]])
refuses("(2, 3) @ (2, 3)", lambda: table @ table)

# %% [markdown]
# ## 7. An image is a tensor, and why pixels are scaled
# An image file stores each pixel in a byte, 0 to 255. Bytes overflow: 200 + 100 is 300 - 256. So
# convert them to `float32` first, and then divide by 255. The reason: a model starts from small
# random weights and knows nothing. It gives ten scores, one for each digit, and `softmax` turns
# them into ten probabilities. From scaled pixels each is about 1/10, as it should be. From raw
# pixels the scores are 255 times as large, and the model is confident in a guess.

# %%
heading("7. An image is a tensor, and why pixels are scaled")
digits = torch.from_numpy(load_digits().images)  # (1797, 8, 8), ink from 0 to 16
pixels = (digits * 255 / 16).round().to(torch.uint8)  # as an image file stores it
check("byte 200 + byte 100", torch.tensor(200, dtype=torch.uint8) + 100, 300 - 256)
raw = pixels.float().flatten(start_dim=1)  # (1797, 64)
scaled = raw / 255
torch.manual_seed(0)
first_weights = (2 * torch.rand(64, 10) - 1) / 8  # uniform in ±1/8, PyTorch's default
scores = [images @ first_weights for images in (raw, scaled)]  # (1797, 10) each
check("largest score, raw / scaled", scores[0].max() / scores[1].max(), 255, within=1e-5)
chance = [torch.softmax(each, dim=1) for each in scores]  # each row sums to 1
sure_raw, sure_scaled = (each.amax(dim=1).mean().item() for each in chance)
print("confidence of an untrained model, mean over all digits:")
print(f"{sure_raw:.0%} on raw pixels, {sure_scaled:.0%} on scaled pixels")
assert sure_raw > 0.95
assert sure_scaled < 0.25
show(confidence(pixels, *chance), "1_pixels")

# %% [markdown]
# ## 8. Names that hide others
# A name means what was assigned last. A variable called `sum` or `input` hides Python's function
# until you `del` it. If you call one `torch`, you must import torch again.

# %%
heading("8. Names that hide others")
sum = torch.tensor([1, 2, 3]).sum()  # a mistake
refuses("sum([1, 2, 3]), its name taken", lambda: sum([1, 2, 3]))  # noqa: F821
del sum
check("sum([1, 2, 3]), after del sum", sum([1, 2, 3]), 6)  # noqa: F821

# %% [markdown]
# ## Exercises
# 1. Which shapes do (5, 1, 4) + (3, 1), (2, 3) + (2,) and (2, 3) + (2, 1) have? One is refused.
#    Expected: (5, 3, 4); refused, since 3 and 2 differ; (2, 3).
# 2. `table - table.mean(dim=0)` subtracts the mean of each column, without a loop. Do it by row.
#    Hint: `mean(dim=1)` is (2,), but with `keepdim=True` it is (2, 1), which can be broadcast.
# 3. Call `torch.nn.functional.mse_loss(predicted, target)` on the two of section 5. PyTorch warns
#    you. Which number does it return? Expected: 1.3333, the wrong one of section 5.
