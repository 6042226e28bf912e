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
# # From scikit-learn to a proof
#
# You will see a classifier that is used exactly as in scikit-learn: `fit`, `predict`, a pipeline, a search over penalties, with the
# same coefficients as `LogisticRegression`. Then you will see what it says where `LogisticRegression` says nothing: that for the
# famous iris data no best coefficients exist, with the reason in one sentence and in one picture. For two of the three species
# they do exist; there you get the table that a statistician expects, with standard errors and a picture of the intervals, and in
# the end a proof: thirty digits of the smallest loss, checked by a second program that shares no code with the first.

# %%
import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jaxsoftmax as js

jax.config.update("jax_enable_x64", True)
plt.rcParams.update({"figure.figsize": (6.5, 4), "figure.dpi": 80, "figure.constrained_layout.use": True})
plt.rcParams["axes.prop_cycle"] = plt.cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"])


def show(alt):
    """Show the picture; `alt` says in words what is seen on it."""
    display(plt.gcf(), metadata={"image/png": {"alt": alt}})
    plt.close()


claims = {}  # what is claimed -> (measured, bound)
iris = js.datasets.load_iris()
names, species = iris.feature_names, np.asarray(iris.y)
print(f"{len(species)} flowers, {len(names)} measurements: {', '.join(names)}")
print("species:", *sorted(set(species)))

# %% [markdown]
# ## The same classifier
#
# With a penalty (scikit-learn's default, `C=1`) both minimise the same function, so they must find the same coefficients. scikit-learn's
# lbfgs stops at a tolerance; made small, the two agree to about as many digits as that leaves.

# %%
theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(iris.X, species)
ours = js.SoftmaxRegression(C=1.0).fit(iris.X, species)
print("scikit-learn, setosa:", theirs.coef_[0].round(6))
print("jaxsoftmax,   setosa:", ours.coef_[0].round(6))
apart = np.abs(theirs.coef_ - ours.coef_).max()
print(f"largest difference of a coefficient: {apart:.1e}")
print("predictions that differ:", np.sum(theirs.predict(iris.X) != ours.predict(iris.X)))
claims["C = 1: largest difference of a coefficient"] = apart, 1e-4
claims["C = 1: predictions that differ"] = np.sum(theirs.predict(iris.X) != ours.predict(iris.X)), 0

# %% [markdown]
# It goes wherever an estimator goes: into a pipeline, into cross-validation. `js.SoftmaxRegressionCV` chooses the penalty itself.

# %%
pipeline = make_pipeline(StandardScaler(), js.SoftmaxRegression(C=1.0))
print("five folds:", cross_val_score(pipeline, iris.X, species).round(3))
chosen = js.SoftmaxRegressionCV(Cs=[0.01, 0.1, 1.0, 10.0, 100.0]).fit(iris.X, species)
print(
    "C chosen by cross-validation:", chosen.C_, "  right on the training data:", f"{chosen.score(iris.X, species):.3f}"
)

# %% [markdown]
# ## Without a penalty
#
# A penalty pulls coefficients towards 0, so whoever wants to *interpret* them leaves it out (`C=np.inf`). Both are asked for that now, with their
# defaults otherwise, and all they say is printed.


# %%
def said(fit):
    """What a call warns of, and what it returns."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fit()
    return [str(warning.message) for warning in caught], model


words, theirs = said(lambda: LogisticRegression(C=np.inf, max_iter=10_000).fit(iris.X, species))
print("scikit-learn:", *(words or ["(nothing)"]))
print("  coefficients of setosa:", theirs.coef_[0].round(2))
words, model = said(lambda: js.SoftmaxRegression().fit(iris.X, species))
print("\njaxsoftmax:", *words)
claims["no penalty: jaxsoftmax does not warn (0: it does)"] = int(not words), 0

# %% [markdown]
# The second one is right. One measurement tells setosa from the others without a mistake, and so its coefficients can always be made
# larger with profit: whatever numbers are printed, they are those of the moment at which the program stopped. `model.existence_` holds
# the proof. The same once more with the columns' names, and with each number taken as the decimal that was written down; then a picture.

# %%
verdict = js.decide_existence(js.Problem.from_labels(iris.X, species, feature_names=names), decimal=True)
print(verdict.explain())
claims["two verdicts, of the model and with names: differ (0: no)"] = (
    int(verdict.status is not model.existence_.status),
    0,
)
column = names.index("petal length (cm)")
_, ax = plt.subplots(figsize=(6.5, 2.6))
jitter = np.random.default_rng(0).uniform(-0.25, 0.25, len(species))
for row, (name, marker) in enumerate(zip(sorted(set(species)), "os^", strict=True)):
    own = species == name
    ax.plot(iris.X[own, column], row + jitter[own], marker, markersize=4, alpha=0.7)
lengths = {name: iris.X[species == name, column] for name in sorted(set(species))}
threshold = (lengths["setosa"].max() + min(lengths["versicolor"].min(), lengths["virginica"].min())) / 2
ax.axvline(threshold, color="0.3", linestyle="--")
ax.text(threshold + 0.05, -0.45, f"{threshold:.2f} cm", color="0.3", fontsize=9)
ax.set_yticks(range(3), sorted(set(species)))
ax.set(xlabel="petal length (cm)", ylim=(-0.6, 2.6))
show(
    "Petal lengths of the three species, a row each. All setosa lie left of a dashed line at 2.45 cm, all"
    " versicolor and virginica right of it; these two overlap."
)
claims["longest petal of setosa beside the threshold"] = lengths["setosa"].max(), threshold
claims["threshold beside the shortest other petal"] = (
    threshold,
    min(lengths["versicolor"].min(), lengths["virginica"].min()),
)
claims["the verdict: a best fit exists (0: none)"] = int(verdict.attained is not False), 0

# %% [markdown]
# How the printed numbers depend on the moment: scikit-learn with smaller and smaller tolerances. With a best fit the curve would become level.

# %%
tolerances = 10.0 ** -np.arange(2, 9)
sizes = []
for tolerance in tolerances:
    _, theirs = said(
        lambda tolerance=tolerance: LogisticRegression(C=np.inf, tol=tolerance, max_iter=10_000).fit(iris.X, species)
    )
    sizes.append(float(np.linalg.norm(theirs.coef_[0])))
_, ax = plt.subplots(figsize=(6.5, 3))
ax.semilogx(tolerances, sizes, "o-")
ax.invert_xaxis()
ax.set(xlabel="tolerance that was asked for", ylabel="size of setosa's coefficients")
show(
    "The size of the coefficients of setosa against the tolerance: the smaller the tolerance, the larger "
    "the coefficients."
)
claims["coefficients at the least tolerance over those at the largest"] = sizes[0] / sizes[-1], 0.9

# %% [markdown]
# What to do? Three remedies, and each is a choice: a penalty; smoothed targets (each flower counts as one hundredth of another species);
# or asking a question that has an answer. With the first two a best fit exists, and the warning is gone:

# %%
for how, options in (("a penalty, C=1", {"C": 1.0}), ("smoothed targets", {"on_separation": "smooth"})):
    words, remedied = said(lambda options=options: js.SoftmaxRegression(**options).fit(iris.X, species))
    print(f"{how:18} {remedied.fit_.status.name}, warnings: {len(words)}, converged: {remedied.fit_.converged}")
    claims[f"{how}: warnings"] = len(words), 0
    claims[f"{how}: not converged (0: it is)"] = int(not remedied.fit_.converged), 0

# %% [markdown]
# ## A question that has an answer
#
# Versicolor and virginica overlap. What tells them apart, and how surely? No penalty, and this time no warning. `summary()` is the table of
# the coefficients (S22): they say how the log-odds of virginica against versicolor change by a centimetre.

# %%
two = species != "setosa"
words, model = said(lambda: js.SoftmaxRegression().fit(iris.X[two], species[two]))
print("warnings:", *(words or ["none"]))
pair = js.Problem.from_labels(iris.X[two], species[two], feature_names=names)
fit = js.fit(pair)
table = js.inference(pair, fit)
print(table)
claims["two species: warnings"] = len(words), 0
claims["summary() beside js.inference: largest difference"] = (
    np.abs(model.summary().coefficients - table.coefficients).max(),
    1e-6 * np.abs(table.coefficients).max(),
)

# %% [markdown]
# As a picture: each coefficient with its interval. The thick line is Wald's, estimate ± 1.96 standard errors. With a
# hundred flowers it is not to be trusted far; the thin line is the profile interval, which asks how far a coefficient can go until the likelihood
# objects, and which need not be symmetric. By the profile intervals the petals matter; the
# sepals, each by itself, are open.

# %%
measurements = [name for name in table.features if name != "intercept"]
_, ax = plt.subplots(figsize=(6.5, 3))
for row, name in enumerate(reversed(measurements)):
    d = table.features.index(name)
    profile = table.profile_interval("virginica", name)
    ax.plot(
        [table.lower[0, d], table.upper[0, d]], [row + 0.1] * 2, color="#0072B2", linewidth=4, solid_capstyle="butt"
    )
    ax.plot([profile.lower, profile.upper], [row - 0.15] * 2, color="#D55E00", linewidth=1.5, marker="|")
    ax.plot(table.coefficients[0, d], row + 0.1, "o", color="white", markeredgecolor="#0072B2", markersize=6)
ax.axvline(0, color="0.3", linewidth=0.8)
ax.set_yticks(range(len(measurements)), list(reversed(measurements)))
ax.set(xlabel="log-odds of virginica against versicolor, by a centimetre")
ax.plot([], [], color="#0072B2", linewidth=4, label="Wald, 95 %")
ax.plot([], [], color="#D55E00", linewidth=1.5, marker="|", label="profile, 95 %")
ax.legend(loc="upper left", bbox_to_anchor=(0, 1.2), ncols=2, frameon=False)
show(
    "Four coefficients with two intervals each. The profile intervals of petal length and petal width lie "
    "above 0 and reach further up than Wald's, of which the one of petal width just includes 0. The intervals of the sepals include 0."
)
test = table.lr_test(["sepal length (cm)", "sepal width (cm)"])
print(f"both sepal measurements together: likelihood ratio {test.statistic:.4g}, p = {test.p_value:.3g}")

# %% [markdown]
# ## A proof
#
# The table rests on the smallest loss and where it is. How many of the digits that floating point printed are right? `js.certify` answers with a
# theorem (S13) whose conditions it verifies in exact arithmetic. `decimal=True` takes 4.7 for 47/10, as the botanist wrote it, and not for
# the binary fraction nearby.

# %%
certificate = js.certify(pair, digits=30, decimal=True)
print(certificate)
gap = abs(float(certificate.loss_lower) - fit.loss)
print(f"\nthe loss that floating point found differs from it by {gap:.1e}")
claims["digits proved, at least 30"] = 30, certificate.digits
claims["loss in floating point less the proved minimum"] = gap, 1e-12 * fit.loss

# %% [markdown]
# Whoever does not believe this program need not. The certificate goes into a file, the data into another, and a checker of a few hundred
# lines recomputes everything from these two: it imports nothing of this library, no JAX and no NumPy. Here it is run as a process of its own; then
# once more after one petal has been made a millimetre longer.

# %%
checker = importlib.util.find_spec("jaxsoftmax.proof.checkers.check_minimiser").origin
certificate.save("pair.json")
pair.dump("pair.txt", decimal=True)


def check(data):
    """Run the checker; its exit status, and the first line of what it says."""
    command = [sys.executable, checker, "pair.json", data]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ""})
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[0]


status, line = check("pair.txt")
print(f"exit status {status}: {line}")
print(f"{Path('pair.json').stat().st_size} bytes")
longer = iris.X[two].copy()
longer[0, column] = round(longer[0, column] + 0.1, 1)
js.Problem.from_labels(longer, species[two], feature_names=names).dump("other.txt", decimal=True)
other_status, line = check("other.txt")
print(f"\none petal longer: exit status {other_status}: {line}")
claims["the checker accepts the certificate (0: it does)"] = status, 0
claims["the checker accepts other data (0: it does not)"] = int(other_status == 0), 0

# %% [markdown]
# What is proved: for exactly these numbers a best fit exists, the smallest loss lies between two numbers that agree in thirty digits, and
# the best coefficients lie within a known distance of those given. What is not: that the flowers were measured rightly, that this
# model describes irises, or that standard errors, which rest on large samples, can be trusted with a hundred.
#
# ## What was claimed

# %%
for name, (measured, bound) in claims.items():
    print(f"{name:64} {float(measured):12.4g} <= {float(bound):.4g}")
failed = [name for name, (measured, bound) in claims.items() if not measured <= bound]
assert not failed, failed
print(f"\nAll {len(claims)} claims hold.")
