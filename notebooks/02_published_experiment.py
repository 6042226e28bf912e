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
# # The published experiment
#
# You will see a published training method run as its authors describe it, and what its numbers mean. It takes bold steps: the loss
# goes up again and again and still comes down in the long run. It stops when a step is small, and you will see that this stop says nothing
# about having arrived. You will see what a tiny constant in its formula does once the run is nearly over, why shifting the weights
# now and then changes no prediction, and how many images are told apart wrongly at the end, beside a careful version of the same steps and
# Newton's method.
#
# The method is the trainer of Rychlik, *A proof of convergence of multi-class logistic regression network* (arXiv:1903.12600), with its
# recipe on four classes: the digits 0–3, targets 0.999 for the class and the rest shared, steps of Barzilai and Borwein,
# weights re-centred every 100 epochs (S20). The images are the 8×8 digits that travel with the package, not MNIST, so the
# figures are not the paper's; the trainer is. An epoch is one step: the gradient is over all samples.
#
# $$\eta = \frac{\langle\Delta W,\Delta G\rangle}{\texttt{eps}+\|\Delta G\|^2},\qquad
# \eta_0 = \frac1{\texttt{eps}+\sigma_{\max}(\nabla L(W_0))},\qquad W\leftarrow W-\eta\nabla L(W),$$
#
# and a stop when $\eta < 10^{-5}$. The questions: what do the steps look like, is that stop a test of convergence, what does
# `eps` do, what does re-centring do, and where has the run got to when one would end it?

# %%
import warnings

import jax
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display

import jaxsoftmax as js

jax.config.update("jax_enable_x64", True)
plt.rcParams.update({"figure.figsize": (6, 4), "figure.dpi": 80, "figure.constrained_layout.use": True})


def show(alt):
    """Show the picture; `alt` says in words what is seen on it."""
    display(plt.gcf(), metadata={"image/png": {"alt": alt}})
    plt.close()


digits = js.datasets.load_digits()
four = digits.y < 4
X, y = digits.X[four] / 16, digits.y[four]
train = np.arange(y.size) % 4 != 3  # every fourth image is kept for the confusion matrix
# Smoothing by ε gives the class 1 − ε + ε/C: ε = (1 − 0.999)·C/(C − 1) = 1/750, kept as a fraction.
problem = js.Problem.from_labels(X[train], y[train], intercept=True, label_smoothing="1/750")
N, D, C = problem.N, problem.D, problem.C
claims = {}  # what is claimed -> (measured, bound)
T = np.asarray(problem.T)
claims["target of the class: distance from 0.999"] = np.max(np.abs(T.max(axis=1) - 0.999)), 0.0
print(problem)
print("targets:", *np.unique(T))

# %% [markdown]
# All targets are positive, so a minimiser exists, without any penalty (S9; Nwaigwe and Rychlik, arXiv:2012.04576). Newton's
# method finds it, and the library says *converged* because S13's $q < 1$ was evaluated there:

# %%
newton = js.fit(problem, "newton")
print(newton)

# %% [markdown]
# ## The published steps
#
# A thousand epochs with `tol=0`, so that nothing but the published stop can end the run before the limit.

# %%
published = js.fit(problem, "rychlik-bb", max_steps=1000, tol=0)
print(published)
Lambda = js.curvature_bound(problem)
steps = published.history["step_size"][:-1]
ax = js.plots.plot_history(published, "step_size")
ax.axhline(1 / Lambda, color="C1", linestyle="--", label=f"1/Λ = {1 / Lambda:.2g}, the step of S16")
ax.axhline(1e-5, color="C3", linestyle=":", label="1e-5, the published stop")
ax.legend()
show(
    "The steps of the published trainer against the epochs, on a logarithmic axis: after a first climb "
    "they jump up and down over four orders of magnitude, always above the line 1/Λ and far above the "
    "published stop."
)

# %% [markdown]
# The gradient is cocoercive, $\langle\Delta W,\Delta G\rangle \ge \|\Delta G\|^2/\Lambda$ (convexity and S7a), hence **$\eta \ge
# 1/\Lambda$ at every step**, as long as `eps` is small beside $\|\Delta G\|^2$. Here $1/\Lambda > 10^{-5}$: until
# `eps` takes part (below) the published stop *cannot* fire. Where $\Lambda > 10^5$ it can, by an accident of scale. Either way
# it is no test of convergence.

# %%
claims["S20 1/Λ beside the least step"] = 1 / Lambda, steps.min()
claims["S20 the stop at 1e-5 is below 1/Λ"] = 1e-5, 1 / Lambda
print(
    f"steps from {steps.min():.2g} to {steps.max():.2g}, that is "
    f"{steps.min() * Lambda:.1f}/Λ to {steps.max() * Lambda:.2g}/Λ"
)

# %% [markdown]
# ## The loss: no monotone descent
#
# Nothing guards these steps. `"bb"` is the same idea with a guard: a nonmonotone line search that halves a step until the
# loss falls below the largest of the last few, and that ends at $1/\Lambda$, where S16 says that it does; so it converges
# wherever a minimiser exists.

# %%
guarded = js.fit(problem, "bb", max_steps=1000, tol=0)
ax = js.plots.plot_history(
    {"rychlik-bb (S20)": published, "bb, safeguarded": guarded, "newton": newton}, minimum=newton.loss
)
ax.set_ylim(1e-6, 1e5)
show(
    "Loss above its minimum against the steps: Newton's method is down after a few steps; the published "
    "trainer, with spikes, and the safeguarded one, without, level off together and creep."
)
loss = published.history["loss"]
rises = np.flatnonzero(np.diff(loss) > 0)
print(
    f"rychlik-bb: the loss rose in {rises.size} of {published.steps} epochs, at most by a factor "
    f"{np.max(loss[1:] / loss[:-1]):.3g}"
)
print(f"the steps add up to {steps.sum() * Lambda:.2g}/Λ: as far along the gradient flow as so many epochs at 1/Λ")

# %% [markdown]
# The loss rises now and then, and the run makes way all the same: that is how Barzilai–Borwein steps work. On a general
# convex function there is no theorem behind it.

# %%
claims["S20 the published run is not monotone: minus the rises"] = -rises.size, -1
claims["S5  no run is below the minimum: Newton's loss less theirs"] = (
    newton.loss - min(published.loss, guarded.loss),
    newton.gap_estimate,
)

# %% [markdown]
# ## How the runs ended, in the library's words

# %%
for name, fit in {"newton": newton, "bb": guarded, "rychlik-bb": published}.items():
    gap = max(fit.loss - newton.loss, 0) / newton.loss
    print(f"{name:13} {fit.status.name}, {fit.steps} steps, relative gap {gap:.1e}, converged: {fit.converged}")
    print(f"{'':13} “{fit.reason}”")

# %% [markdown]
# ## Re-centring
#
# $W \leftarrow W - \mathbf{11}^\top W/C$ changes neither the loss nor the gradient (S3), and the gradient's columns sum to
# zero, so from $W_0 = 0$ it has nothing but rounding to remove. Start elsewhere to see it: at $W_0 = \mathbf 1 v^\top$, where
# the loss is that of $W_0 = 0$. After 100 epochs $\|W\|$ drops, and the loss does not notice.

# %%
rng = np.random.default_rng(0)
v = 5 * rng.normal(size=D)
shifted = js.fit(problem, "rychlik-bb", W0=np.ones((C, 1)) * v, max_steps=100, tol=0)
before = js.fit(problem, "rychlik-bb", W0=np.ones((C, 1)) * v, max_steps=99, tol=0)
after = np.asarray(js.center_classes(before.W))
print(
    f"column means of W: {np.abs(before.W.mean(axis=0) - v).max():.0e} from v after 99 epochs, "
    f"{np.abs(shifted.W.mean(axis=0)).max():.0e} after 100; from W0 = 0, after 1000: "
    f"{np.abs(published.W.mean(axis=0)).max():.0e}"
)
print(f"‖W‖ {np.linalg.norm(before.W):.3f} -> {np.linalg.norm(shifted.W):.3f}")
print(f"the loss of the 99th W: {before.loss!r}, re-centred {float(js.loss(after, problem))!r}")

# %% [markdown]
# The tolerances are those of rounding. A logit errs by at most $D\,\epsilon\sum_d|x_{nd}w_{cd}|$ and moves a loss term by
# twice that; a sum of $N$ terms adds $(8+\sqrt N)\,\epsilon L$. Each epoch rounds $W - \eta\nabla L$ once and adds
# $\eta\,\mathbf 1^\top\nabla L$, zero but for rounding.

# %%
eps = np.finfo(float).eps
a = np.asarray(problem.X).sum(axis=0)


def loss_rounding(W, value):
    """What rounding can do to the loss at W."""
    return (8 + np.sqrt(N)) * eps * value + 2 * D * eps * np.sum(a * np.abs(W).max(axis=0))


early = shifted.history
largest = np.max(early["weight_norm"])
# A column of the gradient sums C·N terms |y − t| x <= x; W is rounded once an epoch.
drift = np.sum(early["step_size"][:99]) * (8 + np.sqrt(N)) * eps * a.max() + 100 * eps * largest
claims["S3  means of the columns of W after 99 epochs, from v"] = np.abs(before.W.mean(axis=0) - v).max(), drift
claims["S3  means of the columns of W after re-centring"] = np.abs(shifted.W.mean(axis=0)).max(), C * eps * largest
claims["S3  loss before and after re-centring"] = (
    abs(before.loss - float(js.loss(after, problem))),
    loss_rounding(before.W, before.loss) + loss_rounding(after, before.loss),
)

# %% [markdown]
# ## What `eps` does
#
# Once $\|\Delta G\|^2$ is no longer large beside `eps` ($2\cdot10^{-16}$ in float64), `eps` takes over the denominator: the
# step shortens, so the next $\Delta G$ is smaller, so the next step is shorter still. The steps collapse, and now the stop at
# $10^{-5}$ fires. To get there a run must come near the minimiser, as it does on the 16 pixels in the middle of the image,
# where the condition number is moderate:

# %%
middle = X.reshape(-1, 8, 8)[train, 2:6, 2:6].reshape(N, 16)
small = js.Problem.from_labels(middle, y[train], intercept=True, label_smoothing="1/750")
long = js.fit(small, "rychlik-bb", tol=0)
print(long)

# %% [markdown]
# The loop is short enough to write out, which shows every step and every $\|\Delta G\|$. (Rounding makes two runs of it part
# ways after some dozens of epochs, so the numbers of epochs differ.)


# %%
def published_loop(problem, epochs=10_000):
    """S20 in NumPy: the steps taken, the last one below 1e-5, and ‖ΔG‖² before each."""
    W = np.zeros((problem.C, problem.D))
    G = np.asarray(js.gradient(W, problem))
    step, steps, squares = 1 / (eps + np.linalg.norm(G, 2)), [], [np.inf]
    for epoch in range(1, epochs + 1):
        steps.append(step)
        if step < 1e-5:
            break
        moved = W - step * G
        if epoch % 100 == 0:
            moved = moved - moved.mean(axis=0)
        turned = np.asarray(js.gradient(moved, problem))
        squares.append(np.sum((turned - G) ** 2))
        step = np.sum((moved - W) * (turned - G)) / (eps + squares[-1])
        W, G = moved, turned
    return np.array(steps), np.array(squares)


long_steps, squares = published_loop(small)
last = slice(-40, None)
_, ax = plt.subplots()
epochs = np.arange(long_steps.size)
ax.semilogy(epochs[last], long_steps[last], ".-", label="step η")
ax.semilogy(epochs[last], squares[last], ".-", label="‖ΔG‖²")
ax.axhline(eps, color="0.5", label="eps")
ax.axhline(1 / js.curvature_bound(small), color="C2", linestyle="--", label="1/Λ")
ax.axhline(1e-5, color="C3", linestyle=":", label="1e-5, the published stop")
ax.set(xlabel="epoch", title="The last 40 epochs")
ax.legend()
show(
    "The last 40 epochs: the steps stay above 1/Λ until the squared change of the gradient is far below "
    "eps; then they fall past the published stop within three epochs."
)
print("the last steps:", *(f"{step:.1e}" for step in long_steps[-8:]))

# %% [markdown]
# With `eps` in the account the cocoercivity reads $\eta\,(1+\texttt{eps}/\|\Delta G\|^2) \ge 1/\Lambda$. It holds at every step,
# up to what rounding leaves of $\Delta G$: an entry of the gradient errs by at most $(8+\sqrt N)\,\epsilon\sum_n|x_{nd}|$ and
# what the logits bring. The stop at a step that is below $1/\Lambda$ is therefore the work of `eps`. Where that happens depends
# on the units of the loss: a mean instead of a sum moves it by a factor $N$. The library ends such a run with the
# words “the published stop” and never as `GRADIENT_TOLERANCE`; that its end is near a minimiser is known from S13's $q$, which was evaluated separately.

# %%
cocoercive = (long_steps * (1 + eps / squares))[1:] * js.curvature_bound(small)
scale = np.asarray(small.X).sum(axis=0)
logit_error = small.D * eps * np.abs(long.W).sum(axis=1).max()  # X <= 1; the weights are largest at the end
gradient_error = np.sqrt(C) * np.linalg.norm(scale) * ((8 + np.sqrt(N)) * eps + 2 * logit_error)
seen = np.sqrt(squares[1:])
claims["S20 1 beside the least η(1 + eps/‖ΔG‖²)Λ, less rounding"] = (
    np.max(1 - 4 * gradient_error / seen - cocoercive),
    0.0,
)
claims["S20 the loop above ends below the published stop"] = long_steps[-1], 1e-5
claims["S20 and that stop is below 1/Λ"] = 1e-5, 1 / js.curvature_bound(small)
claims["S20 the fit names the published stop, no tolerance (0: yes)"] = (
    int(long.status is js.Status.GRADIENT_TOLERANCE or "The published stop" not in long.reason),
    0,
)
claims["S13 q at that end: near a minimiser all the same"] = long.q_estimate, 1.0
print(f"least η(1 + eps/‖ΔG‖²)Λ: {cocoercive.min():.2f};  rounding of the gradient: {gradient_error:.0e}")

# %% [markdown]
# ## And without smoothing?
#
# With $t = 1$ these four digits are separable: no minimiser exists (S9), the loss tends to 0 while $\|W\| \to \infty$. The
# published loop would run on. The fit says so, and warns with the proof that `js.decide_existence` finds (notebook 03):

# %%
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    hard = js.fit(js.Problem.from_labels(X[train], y[train], intercept=True), "rychlik-bb", max_steps=1000, tol=0)
print(f"{hard.status.name}: “{hard.reason}”")
print(*(f"{w.category.__name__}: {w.message}" for w in caught), sep="\n")
print(f"loss {hard.loss:.2g}, ‖W‖ = {np.linalg.norm(hard.W):.3g}, converged: {hard.converged}")
claims["S9  without smoothing nothing is claimed (0: yes)"] = int(hard.converged), 0

# %% [markdown]
# ## Confusion matrices
#
# On the images that were not trained on; rows are the true digits, columns the predicted ones.

# %%
held = np.column_stack([X[~train], np.ones((~train).sum())])


def confusion(W):
    """Counts: row, the true class; column, the class of the largest logit."""
    counts = np.zeros((C, C), int)
    np.add.at(counts, (y[~train], np.argmax(held @ np.asarray(W).T, axis=1)), 1)
    return counts


tables = {name: confusion(fit.W) for name, fit in {"rychlik-bb": published, "bb": guarded, "newton": newton}.items()}
for name, counts in tables.items():
    print(f"{name}: {np.trace(counts)} of {counts.sum()} right")
    print(counts)

# %% [markdown]
# For the labels it hardly matters where on the way to the minimiser one stops; for the loss, the weights and every number
# that is inferred from them it does.

# %%
for name, counts in tables.items():
    claims[f"every image that was kept is counted, {name}"] = abs(counts.sum() - (~train).sum()), 0
claims["S13 q of the published run is not below 1: no claim"] = 1.0, published.q_estimate
for name, (measured, bound) in claims.items():
    print(f"{name:60} {float(measured):12.4g} <= {float(bound):.4g}")
failed = [name for name, (measured, bound) in claims.items() if not measured <= bound]
assert not failed, failed
print(f"\nAll {len(claims)} claims hold.")
