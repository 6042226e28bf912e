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
# # Other people's derivatives
#
# You will see a checker look at derivatives that other people wrote: functions of JAX and optax as they are installed here. Most
# of them are right, and the checker accepts them, to the digits that rounding leaves. Some are wrong at particular points (at a zero, at two
# equal numbers, beyond a special case), and there the checker names the entry, the number that is found and the one that is right. For each
# of these you also see the right number from a third side: the same function in 50 digits, which shares no code with JAX. At
# the end come a derivative written by hand, with a factor forgotten, and one fault that the checker does *not* see.
#
# The libraries looked at here are very good. What is wrong is mostly a single point. But single points are where data lie.

# %%
import warnings
from importlib.metadata import version

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import mpmath as mp
import numpy as np
import optax
from IPython.display import display

import jaxsoftmax as js

jax.config.update("jax_enable_x64", True)
mp.mp.dps = 50
plt.rcParams.update({"figure.figsize": (7, 4), "figure.dpi": 80, "figure.constrained_layout.use": True})


def show(alt):
    """Show the picture; `alt` says in words what is seen on it."""
    display(plt.gcf(), metadata={"image/png": {"alt": alt}})
    plt.close()


claims = {}  # what is claimed -> (measured, bound)
for name in ("jax", "jaxlib", "optax", "mpmath"):
    print(name, version(name))

# %% [markdown]
# ## One that is right
#
# The projection onto the probability simplex: the nearest vector of non-negative numbers that sum to 1. optax differentiates it by a
# rule of its own (`custom_jvp`). `js.crosscheck(function, point)` takes that rule out of the function and differentiates what remains,
# compares entry by entry, and asks the *values* as well: differences of the function know nothing of any rule. Each row
# is a comparison; *allowed* is no setting but a bound of the rounding, worked out from the program. (The report goes on; here is its table.)

# %%
time = js.Budget(seconds=600)  # the same comparisons on a slow machine


def beginning(report):
    """The table; after it the report lists the worst entries, how many units of rounding each entry is off, and the cost."""
    return str(report).split("\n\n")[0]


point = np.array([0.9, 0.1, -0.7, 0.5])
print(beginning(js.crosscheck(optax.projections.projection_simplex, point, budget=time)))

# %% [markdown]
# ## Six that are right
#
# A checker that cries wolf is of no use, so first some that must pass: far out in the tails, with large numbers,
# at ties, through a factorisation, at a corner.

# %%
rng = np.random.default_rng(0)
Z = rng.normal(size=(3, 4))
targets = rng.dirichlet(np.ones(4), size=3)
A = rng.normal(size=(3, 3))
A = A @ A.T + np.eye(3)

right = {
    "silu, far out": (jax.nn.silu, np.array([-30.0, -8.5, 8.5, 30.0])),
    "softmax, logits about 1000": (jax.nn.softmax, 1000 + 20 * rng.normal(size=(2, 5))),
    "logsumexp with ties": (jax.nn.logsumexp, np.array([1.0, 1.0, 1.0, -2.0])),
    "jnp.linalg.cholesky": (jnp.linalg.cholesky, A),
    "optax: softmax cross-entropy": (lambda z: optax.losses.softmax_cross_entropy(z, targets), Z),
    "optax: Huber loss at its corner": (optax.losses.huber_loss, np.array([1.0, -1.0, 0.5])),
}
reports = {name: js.crosscheck(function, at, budget=time) for name, (function, at) in right.items()}


def worst(report):
    """The largest error of all comparisons, in units of what was allowed; infinite where a number is missing."""
    ratios = [float(row.ratio) for row in report.statements if row.ratio is not None]
    return max(ratio if ratio == ratio else np.inf for ratio in ratios)


for name, report in reports.items():
    print(
        f"{name:34} {report.verdict:9} {len(report.statements):3d} comparisons, worst {worst(report):8.2g} of what is allowed"
    )
claims["right ones that are rejected"] = sum(report.verdict == "DISAGREE" for report in reports.values()), 0
claims["right ones that are not plainly accepted"] = sum(report.verdict != "AGREE" for report in reports.values()), 0

# %% [markdown]
# ## One that is wrong
#
# $\log(b_1e^{3}+b_2)$ is a log-sum-exp with weights $b$. Its derivative in $b_1$ at $b=(0,1)$ is $e^3\approx 20.09$. JAX says 0: it
# replaces an entry of weight 0 by $-\infty$ first, and so the entry has no slope. An optimiser of mixture weights would never bring
# such a component back. (Known: jax-ml/jax issue 22398.)


# %%
def weighted(b):
    """Log-sum-exp of (3, 0) with weights b."""
    return jax.scipy.special.logsumexp(jnp.array([3.0, 0.0]), b=b)


b = np.array([0.0, 1.0])
print("JAX:      ", jax.grad(weighted)(b).tolist())
print("50 digits:", [float(mp.diff(lambda p, q: mp.log(p * mp.exp(3) + q), (0, 1), k)) for k in ((1, 0), (0, 1))])
print()
reports["logsumexp(a, b) in a weight b of 0"] = js.crosscheck(weighted, b, budget=time)
print(beginning(reports["logsumexp(a, b) in a weight b of 0"]))

# %% [markdown]
# ## Eight more, each beside 50 digits
#
# Each line: the derivative that JAX gives, the right one by mpmath, and the verdict. Whoever reads this with a later version may see
# numbers that are right, and *AGREE* beside them: what is claimed below is only that the verdict and the 50 digits say the same. The
# page `docs/gallery.md` has these and others, each with what to write instead.

# %%
special = jax.scipy.special


def constant_at_0(x):
    """x log 2, with a special case at 0 that changes no value."""
    return jnp.where(x == 0, 0.0, x * jnp.log(2.0))


def polynomial(x):
    """1 + x + x²."""
    return jnp.sum(x ** jnp.arange(3.0))


def hypot(v):
    """The length of a vector of two numbers."""
    return jnp.hypot(v[0], v[1])


def lower_cholesky(a):
    """Reads the lower triangle of a alone."""
    return jnp.sum(jax.scipy.linalg.cholesky(a, lower=True))


square = np.array([[2.0, 0.3], [0.3, 1.0]])
# name: (function, point, which derivative, the entry of it that JAX gives, the right one)
wrong = {
    "where(x == 0, 0, x log 2) at 0": (constant_at_0, 0.0, 1, (), mp.log(2)),
    "boxcox(2, λ) at λ = 0": (lambda x: special.boxcox(2.0, x), 0.0, 1, (), mp.log(2) ** 2 / 2),
    "i0(x) at 0": (special.i0, 0.0, 1, (), mp.mpf(0)),
    "ldexp(x, 3) at 0": (lambda x: jnp.ldexp(x, 3), 0.0, 1, (), mp.mpf(8)),
    "spence(x) at 1.5": (special.spence, 1.5, 1, (), mp.log(mp.mpf(1.5)) / (1 - mp.mpf(1.5))),
    "1 + x + x² by powers, at 0": (polynomial, 0.0, 1, (), mp.mpf(1)),
    "scipy cholesky, the other triangle": (lower_cholesky, square, 1, (0, 1), mp.mpf(0)),
    "hypot(1, 1), second derivative": (hypot, np.ones(2), 2, (0, 1), -1 / mp.sqrt(8)),
}
contradictions = 0
print(f"{'':38} {'JAX':>10} {'50 digits':>10}  verdict")
for name, (function, at, order, index, truth) in wrong.items():
    derivative = jax.grad(function) if order == 1 else jax.hessian(function)
    found = float(np.asarray(derivative(at))[index])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = js.crosscheck(function, at, budget=time, **({} if order == 1 else {"hessian": derivative}))
    reports[name] = report
    # Far above rounding, far below the faults: these are off by a tenth and more.
    is_wrong = not abs(found - float(truth)) <= 1e-6 * max(1.0, abs(float(truth)))
    contradictions += is_wrong is not (report.verdict == "DISAGREE")
    print(f"{name:38} {found:10.6g} {float(truth):10.6g}  {report.verdict}")
claims["verdicts that contradict 50 digits"] = contradictions, 0

# %% [markdown]
# All of them in one picture: the largest error of each function, in units of what rounding may do. The right ones lie left of the line, by
# a wide margin. The wrong ones lie far to the right; where JAX gives NaN there is no number, and the mark stands at the edge.

# %%
edge = 1e20
_, ax = plt.subplots(figsize=(7, 5.5))
for height, report in enumerate(reversed(reports.values())):
    ratio = worst(report)
    bad = report.verdict == "DISAGREE"
    ax.plot(np.clip(ratio, 1e-6, edge), height, "X" if bad else "o", color="#D55E00" if bad else "#0072B2")
ax.set_yticks(range(len(reports)), list(reversed(reports)), fontsize=8)
ax.axvline(1, color="0.3", linewidth=1)
ax.text(2, len(reports) - 1.1, "allowed: 1", fontsize=8)
ax.set(xscale="log", xlabel="largest error / what rounding may do", xlim=(3e-7, 10 * edge))
ax.plot([], [], "o", color="#0072B2", label="AGREE")
ax.plot([], [], "X", color="#D55E00", label="DISAGREE")
ax.legend(loc="upper right", fontsize=8, frameon=False)
show(
    "One row a function, its largest error on a logarithmic axis in units of what rounding may do. Six "
    "circles, the right functions, lie left of one. Nine crosses, the wrong ones, lie far to the right."
)

# %% [markdown]
# ## A derivative written by hand
#
# The loss of a classifier with the penalty $\alpha\|W\|^2$, and its gradient by hand, with $\alpha W$ where $2\alpha W$ is right. The numbers
# look plausible, and training with it goes down. The checker says what the error *looks like*.


# %%
def penalised(W, X, T, alpha):
    """Cross-entropy and a penalty."""
    scores = X @ W.T
    return jnp.sum(jax.nn.logsumexp(scores, axis=1) - jnp.sum(T * scores, axis=1)) + alpha * jnp.sum(W**2)


def by_hand(W, X, T, alpha):
    """The gradient, as somebody wrote it."""
    return (jax.nn.softmax(X @ W.T, axis=1) - T).T @ X + alpha * W


def mended(W, X, T, alpha):
    """The gradient with the 2."""
    return (jax.nn.softmax(X @ W.T, axis=1) - T).T @ X + 2 * alpha * W


iris = js.datasets.load_iris()
T = np.eye(3)[[iris.classes.index(label) for label in iris.y]]
W, args = rng.normal(size=(3, 4)), (iris.X, T, 0.3)
report = js.crosscheck(penalised, W, args=args, gradient=by_hand)
print(beginning(report))
claims["the forgotten 2 is not called a missing penalty (0: it is)"] = (
    int("missing regulariser" not in [diagnosis.name for diagnosis in report.diagnoses]),
    0,
)

# %% [markdown]
# In a test of your own one line does it: `js.assert_derivatives` raises an `AssertionError` that carries this report, and says nothing
# where the gradient is right. It compares half of the digits, which is what a test can afford.

# %%
js.assert_derivatives(penalised, W, args=args, gradient=mended)
print("with the 2: nothing is raised")
try:
    js.assert_derivatives(penalised, W, args=args, gradient=by_hand)
    caught = False
except AssertionError as error:
    caught = True
    print(str(error).splitlines()[0])
claims["the assertion lets the wrong gradient through (0: no)"] = int(not caught), 0

# %% [markdown]
# ## What it does not see
#
# The slope of $\mathrm{sinc}(x)=\sin(\pi x)/(\pi x)$ at $10^{-6}$ has only four right digits, because two nearly equal numbers are
# subtracted. The checker bounds what rounding may do *in that program*, and the subtraction may do just that. So it says AGREE. Its
# question is whether the derivative is the derivative of the program, not whether the program could be written better.

# %%
x = 1e-6
found = float(jax.grad(jnp.sinc)(x))
truth = float(mp.diff(lambda t: mp.sinpi(t) / (mp.pi * t), mp.mpf(x), h=mp.mpf(x) / 10**6))
report = js.crosscheck(jnp.sinc, x)
print(f"JAX {found:.12g}, right {truth:.12g}: relative error {abs(found / truth - 1):.1e}. Verdict: {report.verdict}")

# %% [markdown]
# ## What was claimed

# %%
for name, (measured, bound) in claims.items():
    print(f"{name:62} {float(measured):8.4g} <= {float(bound):.4g}")
failed = [name for name, (measured, bound) in claims.items() if not measured <= bound]
assert not failed, failed
print(f"\nAll {len(claims)} claims hold.")
