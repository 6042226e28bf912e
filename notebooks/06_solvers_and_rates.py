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
# # Solvers and rates: proved and measured
#
# You will see training runs beside what theorems say about them. First gradient descent, written here in five lines: its loss must
# fall at each step by at least a certain amount, and its distance to the minimiser must shrink at each step by at least a certain
# factor. Both are proved before you look, and you will see every single step keep the promise, some by much and some by hardly
# anything. Then a promise that is true and useless. Then the methods of `js.fit` on the same data: which have a proved rate, how
# near it they run, and how the faster ones, which have none, compare. At the end one column of the data is put into other units, and one
# method after another stops moving, except those that do not care about units.
#
# The data are the 150 irises of the package, four measurements, three species. Targets are smoothed by one tenth, so that a best
# $W$ exists (S9).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import jaxsoftmax as js

jax.config.update("jax_enable_x64", True)
plt.rcParams.update({"figure.figsize": (6.5, 4), "figure.dpi": 80, "figure.constrained_layout.use": True})
plt.rcParams["axes.prop_cycle"] = plt.cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00"])


def show(alt):
    """Show the picture; `alt` says in words what is seen on it."""
    display(plt.gcf(), metadata={"image/png": {"alt": alt}})
    plt.close()


claims = {}  # what is claimed -> (measured, bound)
eps = np.finfo(float).eps
iris = js.datasets.load_iris()
standard = (iris.X - iris.X.mean(axis=0)) / iris.X.std(axis=0)
problem = js.Problem.from_labels(standard, iris.y, label_smoothing=0.1)
N, D, C = problem.N, problem.D, problem.C
best = js.fit(problem)
print(best)

# %% [markdown]
# ## Gradient descent, every step kept
#
# The step is $\eta=1/\Lambda$, where $\Lambda$ bounds the curvature of the loss everywhere (S7a). Five lines of JAX, no code of the
# library's training:

# %%
Lambda = js.curvature_bound(problem)
eta = 1 / Lambda


def step(W, _):
    """One step; what is kept is the point before it."""
    return W - eta * js.gradient(W, problem), W


K = 15_000
_, path = jax.lax.scan(step, jnp.zeros((C, D)), length=K)
losses = np.asarray(jax.jit(jax.vmap(lambda W: js.loss(W, problem)))(path))
norms = np.linalg.norm(np.asarray(jax.jit(jax.vmap(lambda W: js.gradient(W, problem)))(path)), axis=(1, 2))
distances = np.linalg.norm(np.asarray(path) - js.center_classes(best.W), axis=(1, 2))
print(f"Λ = {Lambda:.4g}, step {eta:.3g}; after {K} steps the loss is {losses[-1] - best.loss:.1e} above the minimum")

# %% [markdown]
# ### The loss falls, and by how much at least (S16)
#
# $$L(W_k)-L(W_{k+1})\;\ge\;\tfrac{\eta}{2}\,\|\nabla L(W_k)\|^2 .$$
#
# The picture has the drop of each step, divided by what was promised. Below 1 there may be nothing. Why is it so often near 2? Because
# where the curvature is far below $\Lambda$ a step of gradient descent gains almost $\eta\|\nabla L\|^2$, twice what is promised.
# Points where the drop itself is lost in the rounding of the loss are left out.

# %%
# A sum of N terms, each with the rounding of its logits: what is known of a difference of two losses.
heights = np.abs(np.asarray(problem.X)) @ np.abs(best.W).max(axis=0)
rounding = 2 * ((8 + np.sqrt(N)) * eps * losses[0] + 2 * D * eps * heights.sum())
drops, promised = losses[:-1] - losses[1:], 0.5 * eta * norms[:-1] ** 2
seen = promised > 1000 * rounding  # there rounding moves the ratio by a thousandth at most
_, ax = plt.subplots()
ax.semilogx(np.arange(1, K)[seen], (drops / promised)[seen], ".", markersize=3)
ax.axhline(1, color="0.3", linestyle="--")
ax.text(1, 1.01, "promised (S16)", fontsize=9, color="0.3")
ax.set(xlabel="step", ylabel="drop of the loss / promised", ylim=(0.9, 2.1))
show("The drop of the loss at each step over what was promised: every point lies between 1 and 2.")
print(f"{seen.sum()} steps, the least drop is {(drops / promised)[seen].min():.3f} of what was promised")
claims["S16 promised drop less the drop, any step"] = np.max(promised - drops), rounding

# %% [markdown]
# ### The distance shrinks, and by which factor at least (S17)
#
# A step multiplies the distance to the minimiser by at most $1-\bar\mu/\Lambda$, where $\bar\mu$ bounds the average curvature between
# here and there. `js.certify` proves in exact arithmetic that the curvature at the minimiser is at least $\mu$, and S8 says how much of it can
# be missing on the way: with $\rho_k$ the largest range of the logits $(W_k-W^*)x_n$,
#
# $$\frac{\|W_{k+1}-W^*\|}{\|W_k-W^*\|}\;\le\;1-\frac{1-e^{-\rho_k}}{\rho_k}\,\frac{\mu}{\Lambda}.$$
#
# Far away $\rho_k$ is large and the promise small; it grows on the way, and ends at $\mu/\Lambda$.

# %%
certificate = js.certify(problem, best.W, method="full")
mu = float(certificate.curvature_euclidean_bound) * (1 - float(certificate.q))
spectrum = js.probe_convexity(problem, best.W)
estimate = 1 - js.contraction_rate(eta, spectrum.lambda_min, spectrum.lambda_max)
centre = js.center_classes(best.W)
rho = np.asarray(jax.jit(jax.vmap(lambda W: js.max_logit_range(problem, W - centre)))(path))
proved = -np.expm1(-rho[:-1]) / rho[:-1] * mu / Lambda
gains = 1 - distances[1:] / distances[:-1]
# W* is known to a radius r, so a distance d is wrong by r/d at most, and the gain of a step by twice that.
radius = float(certificate.radius_euclidean) + np.linalg.norm(
    js.center_classes(best.W) - js.center_classes(certificate.W)
)
certain = distances[1:] > 1e4 * max(radius, eps)
print(f"gain of a step, proved: from {proved[0]:.2g} at the first step to {mu / Lambda:.5g} at the minimiser")
print(f"from the eigenvalues at the minimiser, not proved:   {estimate:.5g}")
print(f"measured: from {gains[0]:.2g} to {gains[certain][-1]:.5g}")
off = 2 * max(radius, eps) / distances[1:]
claims["S17 proved gain over the measured one, any step"] = np.max(((proved - off) / gains)[certain]), 1.0

# %%
steps = np.arange(K)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
left.semilogy(steps, distances, label="measured")
left.semilogy(steps[1:], distances[0] * np.exp(np.cumsum(np.log1p(-proved))), "--", label="proved (S8, S13, S17)")
left.set(xlabel="step", ylabel="‖W − W*‖")
left.legend(frameon=False)
right.loglog(steps[1:][certain], gains[certain], label="measured")
right.loglog(steps[1:], proved, "--", label="at least this (proved)")
right.axhline(estimate, linestyle=":", color="0.3", label="eigenvalues at W*")
right.set(xlabel="step", ylabel="1 − factor of a step")
right.legend(frameon=False)
show(
    "Left: the distance to the minimiser against the steps, on a logarithmic axis, falls below the dashed"
    " line that is proved. Right: the gain of a step, measured, falls towards that of the eigenvalues; "
    "the proved one rises towards it from below."
)

# %% [markdown]
# In the end the measured gain is that of the eigenvalues, to all digits shown: S17 is sharp. The proved one is two per cent below, which is
# what the proof in exact arithmetic gives away.
#
# ### A promise before the first step (S18)
#
# Smoothed targets give a rate from the very start, without a look at any $W$ but the first: the loss is bounded, so no probability can be smaller than
# a certain $\delta$, so the curvature is at least so and so much. For six observations whose targets are shares between 0.4 and 0.6 that is
# a number to plan with. For iris it is true, and useless.

# %%
shares = np.array([0.4, 0.6, 0.45, 0.55, 0.5, 0.42])
small = js.Problem(np.array([[-2.0], [2.0], [-1.0], [1.0], [0.5], [-1.5]]), np.column_stack([shares, 1 - shares]))
for name, data in {"six observations, soft targets": small, "iris": problem}.items():
    print(f"{name:32} each step shrinks L − L* by at least 1 − 10^{js.log_descent_gain_bound(data) / np.log(10):.4g}")
bottom = js.fit(small).loss
descent = js.fit(small, "gd", max_steps=400, tol=0)
excess = descent.history["loss"] - bottom
at = descent.history["step"]
factor = js.descent_rate_bound(small)
rounding_small = 2 * (8 + np.sqrt(6)) * eps * descent.history["loss"][0]
_, ax = plt.subplots()
ax.semilogy(at, np.maximum(excess, 1e-16), label="measured")
ax.semilogy(at, excess[0] * factor**at, "--", label="proved before training (S18)")
ax.set(xlabel="step", ylabel="L − L*", ylim=(1e-16, 1), xlim=(0, 90))
ax.legend()
show(
    "The loss above its minimum falls steeply; the line that S18 promises falls too, far more slowly, and"
    " lies above it."
)
claims["S18 loss above the promised line, less rounding"] = np.max(excess - excess[0] * factor**at), 2 * rounding_small
claims["S18 for iris: log10 of the promised gain"] = js.log_descent_gain_bound(problem) / np.log(10), -3

# %% [markdown]
# ## The methods of `js.fit`
#
# All from $W=0$ on the same data. Three columns of rates: the factor a step that was *measured* at the end of the run, the one *from
# the eigenvalues*, and the one that is *proved* in `fit` itself, without a certificate (S7c sample by sample, S19). An empty place means that nothing is claimed.

# %%
names = ("gd", "gd-optimal", "mm", "agd", "bb", "lbfgs", "newton-cg", "newton")
fits = {name: js.fit(problem, name, max_steps=K, tol=1e-13) for name in names}


def gain(rate):
    """A factor a step as what it takes away."""
    return "" if rate is None else f"1 − {1 - rate:.3g}"


print(f"{'':12}{'steps':>6} {'L − L*':>9}   {'measured':14}{'eigenvalues':14}{'proved':14}")
for name, fit in fits.items():
    above = max(fit.loss - best.loss, 0.0)
    print(
        f"{name:12}{fit.steps:6d} {above:9.1e}   {gain(fit.rate_measured):14}{gain(fit.rate_estimate):14}{gain(fit.rate_bound):14}"
    )
    claims[f"{name}: below the minimum by"] = best.loss - fit.loss, rounding
for name in ("gd", "mm"):
    fit = fits[name]
    claims[f"{name}: gain that is proved beside the measured one"] = 1 - fit.rate_bound, 1 - fit.rate_measured
claims["newton: steps, beside those of gd"] = fits["newton"].steps, fits["gd"].steps / 100

# %%
_, ax = plt.subplots()
styles = ("-", "--", "-.", ":", "-", "--", "-.", ":")
for (name, fit), style in zip(fits.items(), styles, strict=True):
    history, above = fit.history["step"], fit.history["loss"] - best.loss
    good = above > rounding
    ax.loglog(history[good] + 1, above[good], style, label=name)
ax.set(xlabel="step + 1", ylabel="L − L*")
ax.legend(fontsize=8, bbox_to_anchor=(1.0, 1.0), loc="upper left", frameon=False)
show(
    "The loss above its minimum against the steps, both axes logarithmic, a line a method. Newton's "
    "methods are down in about ten steps; lbfgs, bb and agd take tens to hundreds; gd, gd-optimal and mm "
    "hundreds to thousands."
)

# %% [markdown]
# A step of Newton's method costs more than one of gradient descent, so these are steps and not seconds. For iris that hardly matters.
#
# ### Newton: digits double
#
# Near the minimum each step of Newton's method squares the relative error, roughly: the number of right digits doubles. No step, however
# far from the minimum, falls by less than S8 promises, because the step is shortened where the curvature may change much.

# %%
history = fits["newton"].history
above = history["loss"] - best.loss
shown = above > 1000 * rounding  # where the digits of the difference mean something
print("L − L* by step:", *(f"{value:.1e}" for value in above[shown]))
tail = above[shown][-3:]
claims["newton: the last factor, beside the one before"] = tail[2] / tail[1], tail[1] / tail[0]
claims["newton: the loss rises (0: never)"] = int(np.sum(np.diff(history["loss"]) > rounding)), 0

# %% [markdown]
# ## Other units
#
# One column is now a thousand times smaller: metres in place of millimetres. The best classifier is the same, and so is its loss. But for
# gradient descent $\mu/\Lambda$, and with it the proved gain of a step, has become far smaller. The majorise–minimise step (`"mm"`, S19) and Newton's method do not
# notice: their steps are the same in any units. `whiten=True` gives that to every first-order method.

# %%
units = standard.copy()
units[:, 2] /= 1000
scaled = js.Problem.from_labels(units, iris.y, label_smoothing=0.1)
ways = {"gd": {}, "agd": {}, "bb": {}, "mm": {}, "bb, whitened": {"whiten": True}, "newton": {}}
before, after = {}, {}
for name, options in ways.items():
    method = name.split(",")[0]
    before[name] = js.fit(problem, method, max_steps=2000, **options)
    after[name] = js.fit(scaled, method, max_steps=2000, **options)
print(f"{'':14}{'as before':^24}{'one column in other units':^28}")
for name in ways:
    line = "".join(
        f"{fit.steps:6d} steps, {max(fit.loss - best.loss, 0.0):8.1e}     " for fit in (before[name], after[name])
    )
    print(f"{name:14}{line}")
positions = np.arange(len(ways))
_, ax = plt.subplots()
floor = rounding
for shift, (label, group, hatch) in zip(
    (-0.2, 0.2), (("as before", before, ""), ("other units", after, "//")), strict=True
):
    heights = [max(fit.loss - best.loss, floor) for fit in group.values()]
    ax.bar(positions + shift, heights, 0.38, bottom=0, label=label, hatch=hatch, edgecolor="white")
ax.set(yscale="log", ylabel="L − L* at the end", ylim=(floor / 3, 1e3))
ax.set_xticks(positions, list(ways))
ax.legend(loc="upper right", frameon=False)
show(
    "How far each method ends above the minimum, with the columns as before and with one in other units. "
    "gd, agd and bb end far higher in other units; mm, bb whitened and newton end where they ended "
    "before."
)
claims["gd in other units: minus how much further above"] = -(after["gd"].loss - before["gd"].loss), -0.1
for name in ("mm", "newton"):
    claims[f"{name} in other units: steps more or fewer"] = abs(after[name].steps - before[name].steps), 1
    claims[f"{name} in other units: loss"] = abs(after[name].loss - before[name].loss), rounding + 1e-9

# %% [markdown]
# ## What was claimed

# %%
for name, (measured, bound) in claims.items():
    print(f"{name:58} {float(measured):12.4g} <= {float(bound):.4g}")
failed = [name for name, (measured, bound) in claims.items() if not measured <= bound]
assert not failed, failed
print(f"\nAll {len(claims)} claims hold.")
