# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Many devices
#
# You will see one data set spread over eight devices and trained there, by the same call as on one device and with the same
# answer. There are no eight GPUs here: JAX divides this computer's processor into eight devices that behave like separate ones, so
# that everything can be tried on a laptop. You will see which rows lie where, why the number of rows must be a multiple of eight
# and what to do if it is not, how little the devices tell each other at each step, and how close the two answers are. Nothing gets
# faster by this on one computer; the last part says what is different on GPUs.
#
# The next cell must come first: JAX reads the two settings once, when it starts.

# %%
import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"

# %%
import re

import jax
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from jax.sharding import NamedSharding, PartitionSpec

import jaxsoftmax as js

jax.config.update("jax_enable_x64", True)
plt.rcParams.update({"figure.figsize": (6, 4), "figure.dpi": 80, "figure.constrained_layout.use": True})


def show(alt):
    """Show the picture; `alt` says in words what is seen on it."""
    display(plt.gcf(), metadata={"image/png": {"alt": alt}})
    plt.close()


claims = {}  # what is claimed -> (measured, bound)
eps = np.finfo(float).eps
print(jax.device_count(), "devices:", *(device.id for device in jax.devices()))
claims["eight devices: how many are missing"] = 8 - jax.device_count(), 0

# %% [markdown]
# ## Rows that fill the devices
#
# The data are the 1797 digits that travel with the package. Eight devices share rows evenly or not at all, and 1797 is no multiple
# of eight. JAX says so:

# %%
digits = js.datasets.load_digits()
X, y = digits.X / 16, np.asarray(digits.y)
mesh = jax.make_mesh((8,), ("rows",))
by_rows = NamedSharding(mesh, PartitionSpec("rows", None))
try:
    jax.device_put(X, by_rows)
except ValueError as error:
    print(str(error).split(". ")[0])

# %% [markdown]
# The remedy is exact: three more rows, of weight 0. A sample of weight 0 takes no part in the loss, so that the problem is the
# same one. (Its label may be any of the ten.)

# %%
extra = -len(X) % 8
padded = np.vstack([X, np.zeros((extra, X.shape[1]))])
labels = np.concatenate([y, y[:extra]])
weights = np.concatenate([np.ones(len(X)), np.zeros(extra)])
on_eight = jax.device_put(padded, by_rows)

problem = js.Problem.from_labels(X, y, label_smoothing=0.01)  # on one device, as ever
shared = js.Problem.from_labels(on_eight, labels, label_smoothing=0.01, sample_weight=weights)
print("one device:   ", problem)
print("eight devices:", shared)
for shard in shared.X.addressable_shards[:3]:
    first, last = shard.index[0].start or 0, (shard.index[0].stop or shared.N) - 1
    print(f"device {shard.device.id} holds rows {first} to {last}, {shard.data.nbytes / 1e3:.0f} kB")
print("…")
rows = {shard.data.shape[0] for shard in shared.X.addressable_shards}
claims["rows on a device: the most less the least"] = max(rows) - min(rows), 0

# %% [markdown]
# The problem keeps X where it was put. As a picture, each row of X a thin line, the colour its device:

# %%
owner = np.empty(shared.N)
for shard in shared.X.addressable_shards:
    owner[shard.index[0]] = shard.device.id
_, ax = plt.subplots(figsize=(6, 3))
ax.imshow(np.broadcast_to(owner[:, None], (shared.N, 450)), cmap="cividis", interpolation="nearest")
for device in range(8):
    middle = np.flatnonzero(owner == device).mean()
    colour = "white" if device < 4 else "black"
    ax.text(225, middle, f"device {device}", color=colour, ha="center", va="center", fontsize=9)
ax.set(ylabel="row of X", xticks=[])
show("The rows of X as a column of eight equal blocks from top to bottom, labelled device 0 to device 7.")

# %% [markdown]
# ## One loss, two ways to add it up
#
# The loss is a sum over samples (S1), and so are its gradient (S2) and the product of the Hessian with a direction (S4). Each
# device adds up its own rows; then the eight sums are added. That is another order of adding, so the last digits may differ, by at
# most a few units of rounding for each of the two sums.

# %%
rng = np.random.default_rng(0)
W = rng.normal(size=(problem.C, problem.D)) / 10
one, eight = float(js.loss(W, problem)), float(js.loss(W, shared))
print(f"one device   {one!r}\neight devices {eight!r}")
# A sum of N terms >= 0 errs by (8 + √N)·eps relatively, a term by the rounding of its logits, 2·D·eps·Σ|x||w|.
logits = 2 * problem.D * eps * np.sum(np.abs(np.asarray(problem.X)) @ np.abs(W).max(axis=0))
tolerance = 2 * ((8 + np.sqrt(problem.N)) * eps * one + logits)
claims["S1  the loss on eight devices less that on one"] = abs(eight - one), tolerance
G1, G8 = np.asarray(js.gradient(W, problem)), np.asarray(js.gradient(W, shared))
print(f"gradients: largest difference {np.abs(G1 - G8).max():.1e}, largest entry {np.abs(G1).max():.3g}")
# |Y − T| <= 1: an entry is a sum of N terms of size at most |x|, and y errs by twice the rounding of a logit.
entry = (8 + np.sqrt(problem.N)) * eps * np.abs(np.asarray(problem.X)).sum(axis=0).max() + logits
claims["S2  the same of the gradient"] = np.abs(G1 - G8).max(), 2 * entry

# %% [markdown]
# ## What the devices tell each other
#
# The compiled program says it. In the program for loss and gradient XLA has put `all-reduce` where numbers of all devices
# are added. Their sizes do not depend on the number of samples: what travels is a gradient, C·D numbers, and a handful of scalars.
# No row of X leaves its device.

# %%
program = jax.jit(js.value_and_gradient).lower(np.zeros((shared.C, shared.D)), shared).compile().as_text()
sent = []
for line in program.splitlines():
    found = re.search(r"= (.*?) (all-reduce|all-gather|all-to-all|collective-permute)(?:-start)?\(", line)
    if found:
        shapes = re.findall(r"f64\[([\d,]*)\]", found[1])
        count = sum(int(np.prod([int(n) for n in shape.split(",") if n])) for shape in shapes)
        sent.append((found[2], count))
for kind in sorted({kind for kind, _ in sent}):
    print(f"{kind}: {sum(count for other, count in sent if other == kind)} numbers in all")
most = max((count for _, count in sent), default=0)
print(f"a gradient has {shared.C * shared.D} numbers, a device's part of X {shared.X.addressable_shards[0].data.size}")
claims["the devices do tell each other something: minus the exchanges"] = -len(sent), -1
claims["numbers in the largest exchange: a gradient and a loss"] = most, shared.C * shared.D + 1

# %% [markdown]
# ## Trained where it lies
#
# The call is the same. Both runs end at the minimiser, and the library says so for each (S13's $q<1$).

# %%
alone = js.fit(problem)
together = js.fit(shared)
for where, fit in (("one device", alone), ("eight devices", together)):
    print(f"{where:14} {fit.status.name} after {fit.steps} steps, loss {fit.loss:.12g}, q = {fit.q_estimate:.2g}")

# %% [markdown]
# How far apart may two good answers be? S13 bounds how far each is from the minimiser by its own $q$: no difference of two logits of a sample is off by more than $-\log(1-q)$. So the two answers cannot be further apart than the sum.

# %%
Z1, Z8 = alone.logits(X), together.logits(X)
apart = np.abs((Z1 - Z1[:, :1]) - (Z8 - Z8[:, :1])).max()
allowed = -np.log1p(-alone.q_estimate) - np.log1p(-together.q_estimate)
print(f"largest difference of two logits between the answers: {apart:.1e}; S13 allows {allowed:.1e}")
print(f"predictions that differ: {np.sum(alone.predict(X) != together.predict(X))} of {len(X)}")
rounding = 2 * (8 + np.sqrt(problem.N)) * eps * alone.loss + alone.gap_estimate + together.gap_estimate
claims["both runs converged (0: they did)"] = 2 - alone.converged - together.converged, 0
claims["S1  the minimum on eight devices less that on one"] = abs(alone.loss - together.loss), rounding
# Beside S13's part: the logits themselves round.
claims["S13 logits of the answers: largest difference"] = apart, 1.2 * allowed + 1e3 * eps
claims["predictions that differ"] = np.sum(alone.predict(X) != together.predict(X)), 0

# %% [markdown]
# ## Other methods, and columns instead of rows
#
# Every method of `js.fit` takes such an X. So does an X whose *columns* are spread, for more features than a device can hold. Then
# the number of columns must be a multiple of the devices' and the intercept, which is one column more, is left out here.


# %%
def gap(fit, best):
    """How far a loss is above the best one known, relatively."""
    return max(fit.loss - best.loss, 0.0) / best.loss


for method in ("newton-cg", "mm"):
    fit = js.fit(shared, method, max_steps=300)
    print(f"rows, {method:10} {fit.steps:4d} steps, {fit.status.name}, relative gap {gap(fit, alone):.1e}")
    claims[f"rows, {method}: below the minimum by"] = alone.loss - fit.loss, rounding

by_columns = NamedSharding(mesh, PartitionSpec(None, "rows"))
wide = js.Problem.from_labels(jax.device_put(X, by_columns), y, label_smoothing=0.01, intercept=False)
plain = js.fit(js.Problem.from_labels(X, y, label_smoothing=0.01, intercept=False))
fit = js.fit(wide)
print(f"columns, {fit.method:7} {fit.steps:4d} steps, {fit.status.name}, relative gap {gap(fit, plain):.1e}")
claims["columns: loss less that of one device"] = (
    abs(fit.loss - plain.loss),
    2 * (8 + np.sqrt(problem.N)) * eps * plain.loss + fit.gap_estimate + plain.gap_estimate,
)

# %% [markdown]
# ## What is different on GPUs
#
# - **The lines are the same.** Leave out the two settings at the top: `jax.devices()` then lists the GPUs, and `jax.device_put` with the
#   same sharding copies each part of X to its GPU. If X comes from a file that is larger than one GPU's memory, that is the point of it:
#   each GPU holds its own eighth.
# - **It gets faster only when a GPU has enough to do.** A step costs a pass over the rows of one device, and one exchange of C·D numbers.
#   Here an exchange is a copy within memory. Between GPUs it goes over their links by NCCL and takes some ten microseconds at least, however
#   small it is. For data as small as these digits one GPU is faster than eight.
# - **The same answer, not the same bits.** GPUs add in another order again, and float32 is their usual type. What the library
#   says at the end (loss, gradient, $q$) is evaluated in float64 on the data as given, wherever the training ran.
# - **Several computers** do not share one `jax.device_put` of one array. Each process gives its own rows, by `js.StreamedProblem` with
#   `across_processes=True`: see `docs/many_devices.md`.
# - **Not measured here.** This notebook ran on a processor alone. It shows that the answer does not depend on where the rows lie, and what
#   is sent; it says nothing about seconds on GPUs.
#
# ## What was claimed

# %%
for name, (measured, bound) in claims.items():
    print(f"{name:64} {float(measured):12.4g} <= {float(bound):.4g}")
failed = [name for name, (measured, bound) in claims.items() if not measured <= bound]
assert not failed, failed
print(f"\nAll {len(claims)} claims hold.")
