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
# # The last layer of a network
#
# You will see a small neural network, trained here on images of the digits 0 to 6, looked at from its last layer. That layer
# *is* softmax regression, on the features that the layers before it make of an image. So everything that is known of softmax
# regression holds for it: whether the best last layer exists (for features this good it does not, without a penalty), its
# exact Hessian, and with the Hessian a range of last layers that explain the data about as well as the best one. Predictions averaged over that
# range are called the Laplace approximation. You will see what they are good for: the digits 7, 8 and 9, which the network has
# never seen, and images ever further from the data, on which the plain network gets ever surer of itself.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from IPython.display import display

import jaxsoftmax as js

jax.config.update("jax_enable_x64", True)
plt.rcParams.update({"figure.figsize": (6.5, 4), "figure.dpi": 80, "figure.constrained_layout.use": True})
plt.rcParams["axes.prop_cycle"] = plt.cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000"])


def show(alt):
    """Show the picture; `alt` says in words what is seen on it."""
    display(plt.gcf(), metadata={"image/png": {"alt": alt}})
    plt.close()


claims = {}  # what is claimed -> (measured, bound)
eps = np.finfo(float).eps
digits = js.datasets.load_digits()
images, labels = digits.X / 16, np.asarray(digits.y)
known = labels < 7
order = np.random.default_rng(0).permutation(np.flatnonzero(known))
train, test, strangers = order[:600], order[600:], np.flatnonzero(~known)
print(f"{train.size} images to train on, {test.size} to test on, {strangers.size} of digits never seen (7, 8 and 9)")

# %% [markdown]
# ## The network
#
# Two hidden layers of 32 and 16 ReLUs, then a linear layer to seven classes: plain JAX, trained by optax's Adam.

# %%
sizes = (64, 32, 16, 7)
keys = jax.random.split(jax.random.key(1), 3)
layers = [
    {"W": jax.random.normal(key, (n, m)) * jnp.sqrt(2 / m), "b": jnp.zeros(n)}
    for key, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)
]


def features(layers, x):
    """What the last layer sees: (N, 16)."""
    for layer in layers[:-1]:
        x = jax.nn.relu(x @ layer["W"].T + layer["b"])
    return x


def network(layers, x):
    """The logits, (N, 7)."""
    return features(layers, x) @ layers[-1]["W"].T + layers[-1]["b"]


def mean_loss(layers, x, y):
    """What is trained: the mean cross-entropy."""
    return jnp.mean(optax.losses.softmax_cross_entropy_with_integer_labels(network(layers, x), y))


optimizer = optax.adam(1e-2)


@jax.jit
def trained(layers):
    """300 steps of Adam on all images at once."""

    def step(carry, _):
        layers, state = carry
        value, gradient = jax.value_and_grad(mean_loss)(layers, images[train], labels[train])
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(layers, updates), state), value

    (layers, _), values = jax.lax.scan(step, (layers, optimizer.init(layers)), length=300)
    return layers, values


layers, values = trained(layers)


def right(probabilities, rows):
    """The share of images whose most probable class is theirs."""
    return float(np.mean(np.argmax(probabilities, axis=1) == labels[rows]))


plain = {
    name: np.asarray(jax.nn.softmax(network(layers, images[rows]))) for name, rows in (("train", train), ("test", test))
}
print(
    f"loss {values[0]:.3f} → {values[-1]:.2g}; right on {right(plain['train'], train):.1%} of the images trained on, {right(plain['test'], test):.1%} of the others"
)
claims["network: wrong on the images trained on, share"] = 1 - right(plain["train"], train), 0.01
claims["network: wrong on the test images, share"] = 1 - right(plain["test"], test), 0.1

# %% [markdown]
# ## The last layer is softmax regression
#
# With the features for X, `js.loss` at the network's last weights is the network's loss (times the number of images: sums, not means).
# Some of the 16 features may be dead, 0 for every image; they are kept, and do no harm.
#
# Is there a best last layer? `js.decide_existence` answers with a proof. On the images trained on, the features separate the classes
# completely, so the loss of the last layer can be pushed down to 0 for ever, with weights that grow for ever. *Training a network
# to the end has no end*: Adam was stopped after 300 steps, and that was a choice.

# %%
F = {
    name: np.asarray(features(layers, images[rows]))
    for name, rows in (("train", train), ("test", test), ("new", strangers))
}
bare = js.Problem.from_labels(F["train"], labels[train])
last = np.column_stack([np.asarray(layers[-1]["W"]), np.asarray(layers[-1]["b"])])
network_loss = train.size * float(mean_loss(layers, images[train], labels[train]))
print(f"js.loss {float(js.loss(last, bare)):.12g}, the network's {network_loss:.12g}")
heights = np.abs(np.asarray(bare.X)) @ np.abs(last).max(axis=0)
tolerance = 4 * ((8 + np.sqrt(bare.N)) * eps * network_loss + 2 * bare.D * eps * heights.sum())
claims["S1  js.loss less the network's loss"] = abs(float(js.loss(last, bare)) - network_loss), tolerance
verdict = js.decide_existence(bare)
print(f"\nA best last layer without a penalty: {verdict.status.name}, {verdict.type.value}")
claims["S9  a best last layer without a penalty (0: none)"] = int(verdict.attained is not False), 0

# %% [markdown]
# A penalty $\frac\alpha2\|W\|^2$ is the remedy, and for what follows it has a meaning: before any data, each weight is thought to be
# normal with variance $1/\alpha$. With it the best last layer exists, and `js.fit` finds it. The features here are large (up to 15), so
# small weights are enough: $\alpha=10$.

# %%
ALPHA = 10.0
problem = js.Problem.from_labels(F["train"], labels[train], regularizer=js.L2(ALPHA, penalize_intercept=True))
fit = js.fit(problem)
print(fit)
print(f"\nright on {right(fit.probabilities(F['test']), test):.1%} of the test images")
claims["S13 q at the best last layer"] = fit.q_estimate, 1.0

# %% [markdown]
# ## Its Hessian, exactly
#
# The second derivative of the network's loss in its last weights, by `jax.hessian` straight through the network, and by the formula of S4: the
# same matrix, entry by entry.


# %%
def loss_of_last(W):
    """The network's summed loss and penalty in its last layer alone, weights and biases in one matrix."""
    z = features(layers, images[train]) @ W[:, :-1].T + W[:, -1]
    loss = jnp.sum(optax.losses.softmax_cross_entropy_with_integer_labels(z, labels[train]))
    return loss + 0.5 * ALPHA * jnp.sum(W**2)


H = np.asarray(js.hessian(fit.W, problem).to_dense())
automatic = np.asarray(jax.hessian(loss_of_last)(jnp.asarray(fit.W))).reshape(H.shape)
X = np.abs(np.asarray(problem.X))
# An entry is a sum of N terms |S(y)| <= 1/4 times |x x'|; y errs by twice the rounding of its logits, and a softmax by a few ulps.
relative = 2 * ((8 + np.sqrt(problem.N)) * eps + 4 * problem.D * eps * (X @ np.abs(fit.W).max(axis=0)).max() + 40 * eps)
allowed = relative * np.kron(np.ones((7, 7)), X.T @ X) + 1e-300
claims["S4  Hessian against jax.hessian (in tolerances)"] = np.max(np.abs(H - automatic) / allowed), 1.0
probe = js.probe_convexity(problem, fit.W)
print(
    f"{H.shape[0]} weights; largest difference {np.abs(H - automatic).max():.1e}, largest entry {np.abs(H).max():.3g}"
)
print(probe)

# %%
eigenvalues = np.sort(np.linalg.eigvalsh(H))[::-1]
_, ax = plt.subplots()
ax.semilogy(np.arange(1, eigenvalues.size + 1), eigenvalues, ".", markersize=4)
ax.axhline(ALPHA, color="0.3", linestyle="--", label=f"the penalty alone, α = {ALPHA:.0f}")
ax.set(xlabel="number of the eigenvalue", ylabel="eigenvalue of the Hessian", ylim=(1, None))
ax.legend(frameon=False)
show(
    "The eigenvalues in falling order on a logarithmic axis: some are large, most come down to the dashed"
    " line of the penalty, where the data say nothing."
)
print(
    f"{np.sum(eigenvalues < 2 * ALPHA)} of {eigenvalues.size} directions are known from the penalty at least as much as from the data"
)

# %% [markdown]
# ## A range of last layers
#
# Where the loss is flat, the weights could as well be others. The Laplace approximation takes them as normal around the best ones, with the
# inverse of the Hessian for covariance (S22). `js.laplace` does that; `probabilities` averages the predictions over the range, and
# `logit_covariance` says how uncertain the logits of an image are. A check of the first by hand: draw 4000 last layers, and average.

# %%
posterior = js.laplace(problem, fit)
print(posterior)
averaged = {name: posterior.probabilities(F[name]) for name in ("test", "new")}
best = {name: fit.probabilities(F[name]) for name in ("test", "new")}
ten = F["new"][:10]
draws = np.random.default_rng(1).multivariate_normal(fit.W.reshape(-1), np.linalg.pinv(H, hermitian=True), size=4000)
ones = np.column_stack([ten, np.ones(10)])
by_hand = np.asarray(jax.nn.softmax(np.einsum("nd,scd->snc", ones, draws.reshape(4000, *fit.W.shape)), axis=2)).mean(
    axis=0
)
# Two means of bounded numbers: standard errors at most 0.5/√2000 and 0.71/√1000; 6 of both together.
apart = np.abs(by_hand - posterior.probabilities(ten)).max()
print(f"\nby hand and by js.laplace: probabilities differ by at most {apart:.3f}")
claims["S22 average over drawn last layers, by hand"] = apart, 6 * np.hypot(0.5 / np.sqrt(2000), 0.71 / np.sqrt(1000))

# %% [markdown]
# ## Digits that it has never seen
#
# The network must call a 7, 8 or 9 something between 0 and 6. How sure is it? The picture has the probability of the class it
# chooses, for the test images and for the strangers. Averaging makes the network less sure of both, and of the strangers more.


# %%
def surest(probabilities):
    """The probability of the class that is chosen."""
    return probabilities.max(axis=1)


figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
bins = np.linspace(0.2, 1, 17)
for ax, name, title in zip(axes, ("test", "new"), ("test images (0 to 6)", "strangers (7, 8, 9)"), strict=True):
    both = [surest(best[name]), surest(averaged[name])]
    shares = [np.full(len(values), 1 / len(values)) for values in both]
    ax.hist(both, bins, weights=shares, label=["best last layer", "averaged (Laplace)"])
    ax.set(title=title, xlabel="probability of the class chosen")
axes[0].set_ylabel("share of the images")
axes[0].legend(loc="upper left", frameon=False)
show(
    "Two histograms of the probability of the class that is chosen, for the best last layer and averaged."
    " Test images: most above 0.9 for both. Strangers: spread from 0.2 to 1, and the averaged predictions"
    " lie further left."
)
for name, words in (("test", "test images"), ("new", "strangers")):
    pair = surest(best[name]).mean(), surest(averaged[name]).mean()
    print(f"mean probability of the class chosen, {words:12} best {pair[0]:.3f}, averaged {pair[1]:.3f}")
for words, table in (("best", best), ("averaged", averaged)):
    score = -np.mean(np.log(table["test"][np.arange(test.size), labels[test]]))
    print(
        f"test images, {words:9} right {right(table['test'], test):.1%}, mean of −log p of the true class {score:.3f}"
    )
claims["strangers: mean surety, averaged beside best"] = surest(averaged["new"]).mean(), surest(best["new"]).mean()
claims["strangers: mean surety beside that of test images"] = (
    surest(averaged["new"]).mean(),
    surest(averaged["test"]).mean(),
)
claims["test images: right answers lost by averaging, share"] = (
    right(best["test"], test) - right(averaged["test"], test),
    0.02,
)

# %% [markdown]
# It has a price, and the last line shows it: on the test images, of which hardly any is wrong, the averaged predictions are *too* modest, and
# their score is worse. With 600 images and this penalty the range of last layers is wide. Averaging is no cure for a network that is
# right; it is for what comes next.
#
# ## Ever further away
#
# A picture that is no picture: an image of noise, its contrast turned up and up. A network of ReLUs is linear far out, so the logits
# grow with the contrast, and the plain network ends at probability 1 for a class of its choice. The uncertainty of the logits grows with the contrast
# too, in the same proportion; averaged predictions therefore stop short of 1.

# %%
noise = np.random.default_rng(2).uniform(size=(20, 64))
contrasts = np.logspace(-0.5, 3, 15)
far = [np.asarray(features(layers, contrast * noise)) for contrast in contrasts]
curves = {
    "best last layer": np.array([surest(fit.probabilities(rows)).mean() for rows in far]),
    "averaged (Laplace)": np.array([surest(posterior.probabilities(rows)).mean() for rows in far]),
}
_, ax = plt.subplots()
for (name, curve), style in zip(curves.items(), ("o-", "s--"), strict=True):
    ax.semilogx(contrasts, curve, style, label=name, markersize=4)
ax.set(xlabel="contrast (1: as bright as the digits)", ylabel="mean probability of the class chosen", ylim=(0, 1.05))
ax.legend(frameon=False)
show(
    "The mean probability of the chosen class for twenty images of noise against their contrast. The best"
    " last layer rises to 1; the averaged predictions level off clearly below."
)
print(*(f"{name}: {curve[-1]:.3f} at contrast {contrasts[-1]:.0f}" for name, curve in curves.items()), sep="\n")
claims["noise at the highest contrast: 1 less surety of the best layer"] = 1 - curves["best last layer"][-1], 0.01
claims["noise: surety, averaged beside best"] = curves["averaged (Laplace)"][-1], curves["best last layer"][-1] - 0.02

# %% [markdown]
# ## What this does not say
#
# Only the last layer is uncertain here. The features are taken as they are, and an image that the first layers map onto the
# features of a 3 is a sure 3, whatever it shows. The approximation is normal, and its width rests on the penalty that was chosen: a smaller
# $\alpha$ makes it wider. It is cheap: one Hessian, no second training.
#
# ## What was claimed

# %%
for name, (measured, bound) in claims.items():
    print(f"{name:64} {float(measured):12.4g} <= {float(bound):.4g}")
failed = [name for name, (measured, bound) in claims.items() if not measured <= bound]
assert not failed, failed
print(f"\nAll {len(claims)} claims hold.")
