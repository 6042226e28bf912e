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
# # Does a minimiser exist?
#
# You will see four well-known libraries asked for the best classifier of three famous data sets. All of them answer, and most say that
# they are done. Then you will see a proof that there is nothing to find: on these data some weights can be made larger and larger, and
# the loss keeps falling for ever, so that each library printed the place where it happened to stop. The proof is a small table of integers;
# you will see it checked by hand, by a program of its own, and in pictures: the weights growing in training, and the
# pixels of an image whose weights run away.
#
# Softmax regression without a penalty minimises a convex loss, and every library will fit it. The loss attains its minimum exactly if no direction $V$ in weight space *separates*:
#
# $$(Vx_n)_i = \max_j (Vx_n)_j\quad\text{for every sample } n \text{ and every class } i \text{ of its target},\tag{S9}$$
#
# with some $Vx_n$ not constant (Albert and Anderson 1984 for labels; here also for soft targets). Along such a $V$ the loss
# falls for ever: $L(W+tV)$ decreases to an infimum that no $W$ reaches, and $\|W\|\to\infty$ in training. The separation is
# **complete** if $V$ separates every sample from every class that is not in its target (then $\inf L=0$ for labels) and
# **quasi-complete** if no $V$ can do that for all.
#
# This notebook asks four libraries and then `js.decide_existence`, on three data sets that everybody has used: iris, wine and
# digits, raw features, an intercept, no penalty.

# %%
import importlib
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import warnings
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path

# NumPy and SciPy read it at import: small matrices gain nothing from more threads, and lose where the machine is busy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import jax.numpy as jnp
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


def peer(name):
    """A library that this notebook compares with, or None, said aloud, where it is missing or does not load."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except Exception as error:
        print(f"{name} is left out: {type(error).__name__}")
        return None


linear_model, statsmodels, optimistix, jaxopt = map(
    peer, ("sklearn.linear_model", "statsmodels.api", "optimistix", "jaxopt")
)
for name in ("jax", "scikit-learn", "statsmodels", "optimistix", "jaxopt"):
    try:
        print(name, version(name))
    except ImportError:
        print(name, "is not installed")

# %%
iris, digits = js.datasets.load_iris(), js.datasets.load_digits()
problems = {"iris": js.Problem.from_labels(iris.X, iris.y, feature_names=iris.feature_names)}
if linear_model is not None:
    wine = importlib.import_module("sklearn.datasets").load_wine()
    problems["wine"] = js.Problem.from_labels(wine.data, wine.target, feature_names=wine.feature_names)
else:
    print("wine comes with scikit-learn and is left out")
problems["digits"] = js.Problem.from_labels(digits.X, digits.y, feature_names=digits.feature_names)
for name, problem in problems.items():
    print(f"{name}: N = {problem.N}, D = {problem.D} with the intercept, C = {problem.C}")

# %% [markdown]
# ## What four libraries say
#
# Each is asked for the minimiser at four tolerances, and what it *says* is noted: ✓ where it reports convergence (no
# `ConvergenceWarning`, `mle_retvals["converged"]`, `RESULTS.successful`, an error below the tolerance), ✗ where it reports a
# failure. A tolerance means something else in every library; here it is the number one types in. $\|W\|$ is taken after
# centring the columns of $W$, since the loss does not see their mean (S3).


# %%
def sklearn_fit(problem, tolerance, solver):
    X, y = np.asarray(problem.X)[:, :-1], np.asarray(problem.T).argmax(axis=1)
    model = linear_model.LogisticRegression(C=np.inf, solver=solver, tol=tolerance, max_iter=10_000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    said = not [w for w in caught if w.category.__name__ == "ConvergenceWarning"]
    return np.column_stack([model.coef_, model.intercept_]), said


def statsmodels_fit(problem, tolerance, method):
    if method == "newton" and problem.C * problem.D > 500:
        return None, None  # a minute, and then "Singular matrix"
    names = {"newton": "tol", "lbfgs": "pgtol"}
    model = statsmodels.MNLogit(np.asarray(problem.T).argmax(axis=1), np.asarray(problem.X))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # overflows and non-convergence; the flag says the latter
        result = model.fit(method=method, maxiter=1000, disp=0, **{names[method]: tolerance})
    # Class 0 is the reference: its weights are 0.
    return np.vstack([np.zeros(problem.D), np.asarray(result.params).T]), bool(result.mle_retvals["converged"])


def textbook(W, data):
    """The loss as one writes it for an optimiser."""
    X, T = data
    Z = X @ W.T
    return jnp.sum(jax.nn.logsumexp(Z, axis=1) - jnp.sum(T * Z, axis=1))


@jax.jit
def optimistix_run(tolerance, W, data):
    solver = optimistix.BFGS(rtol=tolerance, atol=tolerance)
    found = optimistix.minimise(textbook, solver, W, data, max_steps=20_000, throw=False)
    return found.value, found.result == optimistix.RESULTS.successful


@jax.jit
def jaxopt_run(tolerance, W, data):
    W, state = jaxopt.LBFGS(textbook, tol=tolerance, maxiter=20_000).run(W, data)
    return W, state.error <= tolerance


def compiled_fit(problem, tolerance, run):
    W, said = run(tolerance, jnp.zeros((problem.C, problem.D)), (problem.X, problem.T))
    return np.asarray(W), bool(said)


libraries = {
    "scikit-learn lbfgs": (linear_model, sklearn_fit, "lbfgs"),
    "scikit-learn newton-cg": (linear_model, sklearn_fit, "newton-cg"),
    "statsmodels newton": (statsmodels, statsmodels_fit, "newton"),
    "statsmodels lbfgs": (statsmodels, statsmodels_fit, "lbfgs"),
    "optimistix BFGS": (optimistix, compiled_fit, optimistix_run),
    "jaxopt LBFGS": (jaxopt, compiled_fit, jaxopt_run),
}
tolerances = (1e-2, 1e-4, 1e-6, 1e-8)
answers = {}  # (data, library) -> [(W, what it says) per tolerance]
for name, problem in problems.items():
    for label, (module, ask, how) in libraries.items():
        if module is not None:
            found = [ask(problem, tolerance, how) for tolerance in tolerances]
            if found[0][0] is not None:
                answers[name, label] = found


def norm(W):
    return float(np.linalg.norm(js.center_classes(W)))


loss_of = {key: [float(js.loss(W, problems[key[0]])) for W, _ in found] for key, found in answers.items()}
print(f"{'‖W‖ at the tolerance':31}" + "".join(f"{tolerance:>10.0e}" for tolerance in tolerances) + "   L at the last")
for (name, label), found in answers.items():
    norms = "".join(f"{norm(W):>9.4g}{'✓' if said else '✗'}" for W, said in found)
    print(f"{name:7} {label:23}{norms}   {loss_of[name, label][-1]:.10g}")
says = [said for found in answers.values() for _, said in found]
print(f"\n{sum(says)} of {len(says)} answers claim convergence")

# %% [markdown]
# Seen on 25 November 2026 with the versions printed above. On wine and digits the losses go to zero, and the norms are those of
# whatever step came last: from 20 to 8,000 on digits. On iris the losses agree to many digits and the norms do not: the
# libraries have found the same *infimum*, at different places. statsmodels' Newton is the most honest: below a tolerance of 0.01
# it says that it did not converge, though not why (on digits it takes a minute, ends with `LinAlgError: Singular matrix`, and is
# left out). None of the four says that there is nothing to converge to.

# %%
figure, axes = plt.subplots(1, len(problems), figsize=(4 * len(problems), 3.6), sharex=True)
for ax, name in zip(axes, problems, strict=True):
    for number, label in enumerate(libraries):
        if (name, label) in answers:
            norms = [norm(W) for W, _ in answers[name, label]]
            ax.loglog(tolerances, norms, ".-", color=f"C{number}", label=label, linewidth=1)
    ax.set(title=name, xlabel="tolerance", ylabel="‖W‖")
    ax.invert_xaxis()
if answers:
    axes[0].legend(fontsize=7)
show(
    "Three panels, one a data set: the norm of the weights that each library returns, against the "
    "tolerance asked for. The curves rise as the tolerance gets smaller, and the libraries end at "
    "different heights."
)

# %% [markdown]
# Where there is a minimiser all libraries meet on one horizontal line (below: iris, smoothed).
#
# ## What is true
#
# `js.decide_existence` proves its verdicts in exact arithmetic. It reads a float as the number that it is, or, with
# `decimal=True`, as the shortest decimal that prints it, which for tables like these is what was measured.

# %%
verdicts = {name: js.decide_existence(problem, decimal=True) for name, problem in problems.items()}
claims = {}  # what is claimed -> (measured, bound)
for name, verdict in verdicts.items():
    print(f"{name}: {verdict.status.name}, {verdict.type}")
    for sentence in verdict.explain().splitlines():
        print("   ", sentence)

# %% [markdown]
# So none of the three has a minimiser. On iris one threshold does it: every setosa has petals shorter than 2.45 cm, every
# other flower longer ones, and the weights of that feature grow without bound. Versicolor and virginica overlap, and $G$ proves
# that no direction separates them (S10), so the separation is quasi-complete and the infimum is positive.
#
# ### The witness, by hand
#
# What does one need to believe this? A matrix of small integers. Here is all of the check for iris, without the library: the
# decimals as fractions, $Vx_n$ for each flower, and the maximum.

# %%
V = verdicts["iris"].direction
print(V)
rows = [[*(Fraction(repr(float(x))) for x in row), Fraction(1)] for row in iris.X]
species = [iris.classes.index(label) for label in iris.y]
separated = 0
for row, own in zip(rows, species, strict=True):
    logits = [sum(int(v) * x for v, x in zip(weights, row, strict=True)) for weights in V]
    assert logits[own] == max(logits)  # S9: the flower's own class has the largest logit
    separated += sum(logits[own] > other for other in logits)
print(f"V separates {separated} of {iris.y.size * 2} pairs (flower, other species)")
claims["S9  iris: V separates none of the pairs (0: it does)"] = int(separated == 0), 0
claims["S9  iris: pairs separated by hand less those of the verdict"] = (
    abs(separated - int(verdicts["iris"].separated.sum())),
    0,
)

# %% [markdown]
# ### Each answer can be improved
#
# Whatever a library returned, a step along $V$ lowers the loss. $V$ is scaled here so that its smallest positive margin is 1:
# a step adds at least 1 to the margin of each separated pair. (On iris the last digits of a loss of 5.9 are rounding.)


# %%
def unit_direction(name):
    """V as floats, its smallest positive margin 1."""
    Z = np.asarray(problems[name].X) @ verdicts[name].direction.astype(float).T
    margins = Z.max(axis=1, keepdims=True) - Z
    return verdicts[name].direction.astype(float) / margins[verdicts[name].separated].min()


eps = np.finfo(float).eps
print(f"{'L − inf L at':31}{'W':>12}{'W + V':>12}{'W + 3V':>12}{'W + 9V':>12}")
worst = lowest = -np.inf
for (name, label), found in answers.items():
    step, W, infimum = unit_direction(name), found[-1][0], verdicts[name].infimum_estimate
    path = [float(js.loss(W + t * step, problems[name])) for t in (0, 1, 3, 9)]
    print(f"{name:7} {label:23}" + "".join(f"{value - infimum:12.3g}" for value in path))
    # A logit errs by D·eps·Σ|x||w| and moves a term by twice that; a sum of N terms adds (8 + √N)·eps·L.
    N, D, _ = problems[name].shape
    heights = np.abs(np.asarray(problems[name].X)) @ np.abs(W + 9 * step).max(axis=0)
    rounding = (8 + np.sqrt(N)) * eps * path[0] + 2 * D * eps * heights.sum()
    worst = max(worst, max(b - a for a, b in itertools.pairwise(path)) - rounding)
    lowest = max(lowest, infimum - path[-1] - rounding)
if answers:
    claims["S9  along V no answer gets worse, less rounding"] = worst, 0.0
    claims["S11 no answer lies below inf L, less rounding"] = lowest, 0.0

# %% [markdown]
# ## ‖W‖ in training
#
# The theorem of arXiv:1903.12600 says that gradient descent converges without a penalty, *if* a minimiser exists. If none
# does, $L\to\inf L$ and $\|W\|\to\infty$ (S16). Here it is on logarithmic axes, with the infimum of the verdict subtracted from
# the loss. No curve flattens out: gradient descent creeps, and Newton's method walks off at a steady pace.

# %%
runs, said = {}, {}
for name, problem in problems.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        runs[name] = {
            "gd": js.fit(problem, "gd", tol=0, max_steps=3_000 if name == "digits" else 30_000),
            "newton": js.fit(problem, "newton", tol=0),
        }
    said[name] = [str(w.message) for w in caught if w.category is js.NoMinimizerWarning]
figure, axes = plt.subplots(2, len(problems), figsize=(4 * len(problems), 6.4), sharex=True, squeeze=False)
for column, (name, fits) in zip(axes.T, runs.items(), strict=True):
    js.plots.plot_history(fits, "weight_norm", ax=column[0])
    js.plots.plot_history(fits, minimum=verdicts[name].infimum_estimate, ax=column[1])
    column[0].set(title=name, xscale="log", yscale="log")
    column[1].set(ylabel="L(W) − inf L")
show(
    "Norm of the weights and loss above its infimum against the steps, for gradient descent and Newton's "
    "method on three data sets, logarithmic axes: the norms rise without levelling off, the losses fall."
)
for name, fits in runs.items():
    for method, fit in fits.items():
        grown = fit.history["weight_norm"]
        claims[f"S16 {name}, {method}: ‖W‖ falls between two records (0: never)"] = int(np.sum(np.diff(grown) < 0)), 0
        print(f"{name:7}{method:7} ‖W‖ {grown[-1]:8.4g} after {fit.steps} steps; {fit.status.name}, {fit.converged=}")
        claims[f"S9  {name}, {method}: convergence is claimed (0: no)"] = int(fit.converged), 0

# %% [markdown]
# `js.fit` does not claim convergence, and where it has got far enough to see the weights run away it decides existence and warns
# with the proof. Its warning on iris:

# %%
print(*said["iris"], sep="\n")

# %% [markdown]
# Newton, step by step: the increments of $\|W\|$ and the factors by which $L-\inf L$ falls. Far out the excess behaves like
# $e^{-t}$ along $V$, whose Newton step is 1.

# %%
for name, fits in runs.items():
    history = fits["newton"].history
    excess = history["loss"] - verdicts[name].infimum_estimate
    seen = slice(10, 16)
    print(f"{name:7}increments", *(f"{x:6.3f}" for x in np.diff(history["weight_norm"])[seen]), end="   ")
    print("factors", *(f"{x:.3f}" for x in (excess[:-1] / excess[1:])[seen]))

# %% [markdown]
# ## A certificate for somebody who does not trust this library
#
# `verdict.save` writes a file of integers, bound to the data by a hash. `check_existence.py` verifies it from that file and the
# data alone: exact integer arithmetic, the standard library only. It runs here as a process of its own that cannot even see
# the installed packages (`-S`), on the exact text that `problem.dump` writes.

# %%
checker = importlib.util.find_spec("jaxsoftmax.proof.checkers.check_existence").origin


def check(certificate, data):
    """Run check_existence.py without site-packages: (its exit status, what it says)."""
    command = [sys.executable, "-I", "-S", checker, certificate, data]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


failures = 0
for name, problem in problems.items():
    verdicts[name].save(f"{name}.json")
    problem.dump(f"{name}.txt", decimal=True)
    status, words = check(f"{name}.json", f"{name}.txt")
    failures += status != 0
    print(f"{name}: {Path(f'{name}.json').stat().st_size} bytes, exit status {status}\n{words}\n")
claims["S9, S10 certificates that the checker refuses"] = failures, 0

# %% [markdown]
# It would be worth nothing if it said yes to everything. One entry of $V$ changed by one, one multiplier changed by one, one
# measurement changed by a hundredth of a millimetre, another data set:

# %%
text = Path("iris.json").read_text(encoding="utf-8")


def tampered(change):
    """The certificate of iris after a change, as a file."""
    certificate = json.loads(text)
    change(certificate)
    Path("tampered.json").write_text(json.dumps(certificate), encoding="utf-8")
    return "tampered.json"


def nudge(block, *place):
    """Add 1 to an integer (stored as a number or as hexadecimal text) of a nested list."""
    *outer, last = place
    for index in outer:
        block = block[index]
    value = block[last]
    block[last] = value + 1 if isinstance(value, int) else hex(int(value, 16) + 1)


Path("changed.txt").write_text(
    Path("iris.txt").read_text(encoding="utf-8").replace("51/10", "5101/1000", 1), encoding="utf-8"
)
attempts = {
    "an entry of V": (lambda c: nudge(c["direction"]["entries"], -1, 2), "iris.txt"),
    "a multiplier": (lambda c: nudge(c["multipliers"][0]["values"], 0, 0), "iris.txt"),
    "a measurement": (lambda c: None, "changed.txt"),
    "other data": (lambda c: None, "digits.txt"),
}
accepted = 0
for what, (change, data) in attempts.items():
    status, words = check(tampered(change), data)
    accepted += status == 0
    print(f"{what:14} exit status {status}: {words.splitlines()[-1][:100]}")
claims["S9, S10 tampered certificates that the checker accepts"] = accepted, 0

# %% [markdown]
# ## Remedies
#
# **Smoothing.** $T\leftarrow(1-\varepsilon)T+\varepsilon/C$ makes every target positive, and then a minimiser exists (S9), without a
# penalty. The picture above, once more, with the targets of iris smoothed by 0.01: now the fits agree and the line is flat.

# %%
smooth = problems["iris"].smoothed("0.01")
print(js.decide_existence(smooth), "\n")
flat = {tol: js.fit(smooth, "newton", tol=tol) for tol in (1e-2, 1e-4, 1e-6, 1e-8)}
print("js.fit newton  ", *(f"‖W‖ = {norm(fit.W):.10g} at {tol:.0e}" for tol, fit in flat.items()))
best = js.fit(smooth, "newton")
print(f"S13's q = {best.q_estimate:.1e}, converged: {best.converged}; loss {best.loss:.12g}")
for label, run in {"optimistix BFGS": optimistix_run, "jaxopt LBFGS": jaxopt_run}.items():
    if libraries[label][0] is not None:
        found = [norm(compiled_fit(smooth, tol, run)[0]) for tol in (1e-2, 1e-4, 1e-6, 1e-8)]
        print(f"{label:15}", *(f"‖W‖ = {value:.10g}" for value in found))
claims["S9  smoothed iris: no minimiser (0: there is one)"] = (
    int(js.decide_existence(smooth).status is not js.Existence.ATTAINED),
    0,
)
claims["S13 smoothed iris: q where the fit ended"] = best.q_estimate, 1.0

# %% [markdown]
# **The face.** Or take the infimum seriously. As $t\to\infty$ along $V$ the separated pairs drop out of the loss, and what is left,
# the loss on the *face*, has a minimiser: for iris that is versicolor against virginica, on 100 flowers. Its minimum is
# $\inf L$, and its weights are the ones that can be reported.

# %%
pair = np.asarray(iris.y) != "setosa"
face = js.Problem.from_labels(iris.X[pair], iris.y[pair], feature_names=iris.feature_names)
existence, fit = js.decide_existence(face, decimal=True), js.fit(face)
print(existence, "\n")
print(fit)
print(f"\nminimum on the face {fit.loss:.15g}\ninf L of iris       {verdicts['iris'].infimum_estimate:.15g}")
W = js.to_reference(fit.W, 0)[1]
print("virginica against versicolor:", *(f"{n} {w:.4f}" for n, w in zip([*iris.feature_names, "1"], W, strict=True)))
heights = np.abs(np.asarray(face.X)) @ np.abs(fit.W).max(axis=0)
claims["S11 minimum on the face less inf L"] = (
    abs(fit.loss - verdicts["iris"].infimum_estimate),
    fit.gap_estimate + 2 * ((8 + np.sqrt(face.N)) * eps * fit.loss + 2 * face.D * eps * heights.sum()),
)
claims["S10 the face of iris: no minimiser (0: there is one)"] = int(existence.status is not js.Existence.ATTAINED), 0

# %% [markdown]
# ## Pixels that are never on
#
# Images are worse off than iris. If a pixel is on in some image but in no image of class $c$, the weight of that pixel for
# class $c$ wants to be $-\infty$ (S12): $V=-e_c\otimes e_f$ costs nothing and separates. Its entry of the gradient is
# $\sum_n y_{nc}x_{nf}>0$ at *every* $W$, so gradient descent lowers it at every step, without end. One comparison per pixel and
# class finds them all. MNIST is used if the variable `JAXSOFTMAX_MNIST` names its folder, or the folder `data/mnist` has it;
# else the digits that come with the package.

# %%
folder = Path(os.environ.get("JAXSOFTMAX_MNIST") or "data/mnist")
try:
    images = importlib.import_module("jaxsoftmax.readers.read_table").read_table(folder / "train-images-idx3-ubyte.gz")
    what = "MNIST, 60,000 images"
except FileNotFoundError:
    images, what = digits, "the embedded digits (no MNIST here)"
pixels = js.Problem.from_labels(images.X, images.y, feature_names=images.feature_names)
verdict = js.decide_existence(pixels)
side = int(np.sqrt(images.X.shape[1]))
# The same by hand: on for some image, off for every image of the class.
on = np.array([[images.X[images.y == c].max(axis=0) > 0] for c in images.classes])[:, 0]
never = on.any(axis=0) & ~on
print(f"{what}: {never.sum()} (pixel, class) pairs, per class", *never.sum(axis=1))
print(f"pixels that are never on at all: {np.sum(~on.any(axis=0))} of {side * side} (they change nothing: S6)\n")
print(verdict)
claims["S12 pairs found by the library less those counted here"] = abs(len(verdict.found.never) - int(never.sum())), 0
claims["S12 and they prove that no minimiser exists (0: yes)"] = int(verdict.status is not js.Existence.NOT_ATTAINED), 0

# %%
figure, axes = plt.subplots(2, 5, figsize=(9, 4))
for ax, c in zip(axes.ravel(), range(pixels.C), strict=True):
    mean = images.X[images.y == images.classes[c]].mean(axis=0)
    picture = np.repeat(1 - (mean / mean.max())[:, None], 3, axis=1)
    picture[never[c]] = (0.85, 0.1, 0.1)  # on in other classes only
    ax.imshow(picture.reshape(side, side, 3))
    ax.set(title=f"class {images.classes[c]}: {never[c].sum()}", xticks=[], yticks=[])
figure.suptitle("Mean image of each class; red: pixels whose weight for the class diverges")
show(
    "Mean images of the ten digits in grey; in red the pixels, mostly at the edges, that are never on in "
    "a class and whose weights therefore diverge."
)

# %% [markdown]
# The gradient at these entries, at two places in weight space: positive everywhere, whatever $W$ is.

# %%
rng = np.random.default_rng(0)
pairs = np.argwhere(never)
starts = {"W = 0": np.zeros((pixels.C, pixels.D)), "a random W": rng.normal(size=(pixels.C, pixels.D)) / 255}
for name, W in starts.items():
    entries = np.asarray(js.gradient(W, pixels))[pairs[:, 0], pairs[:, 1]]
    print(f"{name:11} the least of {len(entries)} entries of the gradient: {entries.min():.3g}")
    claims[f"S12 {name}: entries of the gradient that are not positive"] = int(np.sum(entries <= 0)), 0

# %% [markdown]
# ## What is claimed

# %%
for name, (measured, bound) in claims.items():
    print(f"{name:66} {float(measured):12.4g} <= {float(bound):.4g}")
failed = [name for name, (measured, bound) in claims.items() if not measured <= bound]
assert not failed, failed
print(f"\nAll {len(claims)} claims hold.")
