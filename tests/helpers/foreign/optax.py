"""Losses, projections, schedules and safe functions of optax."""

from __future__ import annotations

import jax.numpy as jnp
import optax
import optax.losses as ol
import optax.projections as op

from helpers.foreign.case import case, normal, simplex, uniform

Z, T = normal(3, 4), simplex(3, 4)
WEIGHT = (
    "the gradient in labels of 0 and 1 lacks what logsumexp leaves out of a weight b of 0: d/db logsumexp([3, 0], "
    "b=[b, 1]) at b = 0 is 0, where e^3 = 20.085536923 is right (jax-ml/jax#22398). JAX 0.10.2, optax 0.2.8"
)
SIGNS = [[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]]
LABELS = ([0, 3, 1],)


def loss(name, fun, *points, **options):
    """A case of a loss."""
    return case(f"optax.losses.{name}", fun, *points, library="optax", **options)


def other(name, fun, *points, **options):
    """A case of another function of optax."""
    return case(f"optax.{name}", fun, *points, library="optax", **options)


def ctc(logits, labels):
    """The loss of two sequences, the second one padded."""
    frames, ends = jnp.array([[0, 0, 0, 0], [0, 0, 0, 1]]), jnp.array([[0, 0], [0, 1]])
    return ol.ctc_loss(logits, frames.astype(logits.dtype), labels, ends.astype(logits.dtype))


CASES = [
    loss("squared_error", ol.squared_error, normal(4), normal(4), vector=True),
    loss("l2_loss", ol.l2_loss, normal(4)),
    loss("huber_loss", ol.huber_loss, [-3.1, -0.4, 0.3, 2.2], args=([0.0, 0.1, -0.2, 0.4],), vector=True),
    loss("huber_loss at its corner", ol.huber_loss, [1.0, -1.0, 0.5], note="no kink in the first derivative"),
    loss("log_cosh", ol.log_cosh, [-3.1, -0.4, 0.3, 2.2]),
    loss("log_cosh far out", ol.log_cosh, [-60.0, 0.001, 400.0]),
    loss("cosine_similarity", ol.cosine_similarity, normal(2, 4), normal(2, 4), vector=True),
    loss("cosine_distance", ol.cosine_distance, normal(2, 4), args=(normal(2, 4),)),
    loss("softmax_cross_entropy", ol.softmax_cross_entropy, Z, args=(T,), vector=True),
    loss("softmax_cross_entropy in logits and labels", ol.softmax_cross_entropy, Z, T),
    loss("softmax_cross_entropy_with_integer_labels", ol.softmax_cross_entropy_with_integer_labels, Z, args=LABELS),
    loss(
        "safe_softmax_cross_entropy with a logit of -inf",
        lambda z, t: ol.safe_softmax_cross_entropy(jnp.append(z, -jnp.inf), jnp.append(t, 0.0)),
        normal(4),
        args=(simplex(4),),
    ),
    loss("smooth_labels", lambda z, t: ol.softmax_cross_entropy(z, ol.smooth_labels(t, 0.125)), Z, args=(T,)),
    loss("poly_loss_cross_entropy", ol.poly_loss_cross_entropy, Z, args=(T,)),
    loss("sigmoid_binary_cross_entropy", ol.sigmoid_binary_cross_entropy, normal(5), args=([0.0, 1.0, 1.0, 0.0, 0.5],)),
    loss(
        "sigmoid_binary_cross_entropy far out",
        ol.sigmoid_binary_cross_entropy,
        [-50.0, 50.0, 30.0],
        args=([0.0, 0.0, 1.0],),
        vector=True,
    ),
    loss(
        "sigmoid_focal_loss",
        ol.sigmoid_focal_loss,
        normal(5),
        args=([0.0, 1.0, 1.0, 0.0, 1.0],),
        vector=True,
        fault=WEIGHT,
    ),
    loss(
        "sigmoid_focal_loss, alpha and gamma",
        lambda z, t: ol.sigmoid_focal_loss(z, t, alpha=0.25, gamma=1.5),
        normal(4),
        args=([0.0, 1.0, 1.0, 0.0],),
        fault=WEIGHT,
    ),
    loss("hinge_loss", ol.hinge_loss, [[0.3, -2.0, 1.7], [0.4, 0.1, -0.6]], args=(SIGNS,), vector=True),
    loss("perceptron_loss", ol.perceptron_loss, [[0.3, -2.0, 1.7], [0.4, 0.1, -0.6]], args=(SIGNS,)),
    loss("sparsemax_loss", ol.sparsemax_loss, [-2.0, -0.3, 0.6, 1.8], args=([0, 1, 1, 0],)),
    loss("multiclass_hinge_loss", ol.multiclass_hinge_loss, normal(4), args=(2,)),
    loss("multiclass_perceptron_loss", ol.multiclass_perceptron_loss, normal(4), args=(2,)),
    loss("multiclass_sparsemax_loss", ol.multiclass_sparsemax_loss, normal(2, 4), args=([1, 3],)),
    loss(
        "make_fenchel_young_loss of logsumexp",
        lambda z, t: ol.make_fenchel_young_loss(lambda s: jnp.log(jnp.sum(jnp.exp(s))))(z, t),
        normal(4),
        args=(simplex(4),),
    ),
    loss("kl_divergence", ol.kl_divergence, lambda rng: -rng.uniform(0.5, 3.0, (2, 4)), simplex(2, 4), vector=True),
    loss("kl_divergence_with_log_targets", ol.kl_divergence_with_log_targets, normal(2, 4), normal(2, 4)),
    loss(
        "generalized_kl_divergence",
        lambda x, y: ol.generalized_kl_divergence(x, y),
        uniform(-1.0, 1.0, 4),
        args=(uniform(0.2, 2.0, 4),),
    ),
    loss(
        "dice_loss", lambda z, t: ol.dice_loss(z, t), normal(2, 5, 1), args=([[[1.0], [0.0], [1.0], [1.0], [0.0]]] * 2,)
    ),
    loss("triplet_margin_loss", ol.triplet_margin_loss, normal(2, 3), normal(2, 3), normal(2, 3)),
    loss("ntxent", lambda e, t: ol.ntxent(e, t, temperature=0.5), normal(4, 3), args=([0, 0, 1, 1],)),
    loss(
        "ranking_softmax_loss",
        ol.ranking_softmax_loss,
        normal(2, 4),
        args=([[2.0, 0.0, 1.0, 0.0], [0.0, 1.0, 3.0, 1.0]],),
    ),
    loss("ctc_loss", ctc, normal(2, 4, 3), args=([[1, 2], [2, 0]],), vector=True),
    other("safe_norm", lambda x: optax.safe_norm(x, 1e-3), normal(4)),
    other("safe_norm at 0", lambda x: optax.safe_norm(x, 1e-3), [0.0, 0.0], note="constant below its floor: 0"),
    other("safe_norm below its floor", lambda x: optax.safe_norm(x, 0.5), [0.1, -0.2]),
    other("safe_root_mean_squares", lambda x: optax.safe_root_mean_squares(x, 1e-3), normal(4)),
    other("global_norm of a tree", lambda a, b: optax.global_norm({"a": a, "b": b}), normal(2, 2), normal(3)),
    other(
        "clip_by_global_norm, clipped",
        lambda g: optax.clip_by_global_norm(1.0).update(g, None)[0],
        [1.0, -2.0, 0.7],
        vector=True,
    ),
    other("projections.projection_simplex", op.projection_simplex, [0.9, 0.1, -0.7, 0.5], vector=True),
    other("projections.projection_simplex, scaled", lambda x: op.projection_simplex(x, 2.5), [0.9, 0.1, -2.7, 0.5]),
    other("projections.projection_l1_ball", op.projection_l1_ball, [0.9, -0.6, 0.05, 1.3], vector=True),
    other("projections.projection_l1_ball, inside", op.projection_l1_ball, [0.2, -0.1, 0.05]),
    other("projections.projection_l1_sphere", op.projection_l1_sphere, [0.9, -0.6, 0.05, 1.3]),
    other("projections.projection_l2_ball", op.projection_l2_ball, [0.9, -0.6, 1.3], vector=True),
    other("projections.projection_l2_sphere", op.projection_l2_sphere, [0.3, -0.2, 0.1]),
    other("projections.projection_linf_ball", op.projection_linf_ball, [0.9, -1.6, 1.3]),
    other("projections.projection_box", lambda x: op.projection_box(x, -0.5, 1.0), [0.9, -1.6, 1.3]),
    other(
        "projections.projection_halfspace",
        lambda x, a: op.projection_halfspace(x, a, 0.5),
        normal(3, shift=1.0),
        [1.0, 2.0, 0.5],
    ),
    other(
        "projections.projection_hyperplane",
        lambda x, a: op.projection_hyperplane(x, a, 0.5),
        normal(3),
        [1.0, 2.0, 0.5],
        vector=True,
    ),
    other("projections.projection_vector", lambda x, a: op.projection_vector(x, a), normal(3), normal(3)),
    other("cosine_decay_schedule in the step", lambda t: optax.cosine_decay_schedule(0.5, 10.0)(t), 3.25),
    other("polynomial_schedule in the step", lambda t: optax.polynomial_schedule(1.0, 0.25, 2, 10)(t), 3.25),
    other("exponential_decay in the step", lambda t: optax.exponential_decay(1.0, 5, 0.5)(t), 3.25),
    other(
        "sgd, the loss after three steps, in the rate",
        lambda rate, a: _descent(rate, a),
        0.1,
        args=([[2.0, 0.5], [0.5, 1.0]],),
    ),
    other("adam, the point after two steps, in the start", lambda w: _adam(w), [0.7, -1.2], vector=True),
]


def _descent(rate, a):
    w = jnp.ones(2, a.dtype)
    optimizer = optax.sgd(rate, momentum=0.5)
    state = optimizer.init(w)
    for _ in range(3):
        updates, state = optimizer.update(a @ w, state)
        w = optax.apply_updates(w, updates)
    return 0.5 * w @ a @ w


def _adam(w):
    optimizer = optax.adam(0.125)
    state = optimizer.init(w)
    for _ in range(2):
        updates, state = optimizer.update(w**3, state)
        w = optax.apply_updates(w, updates)
    return w
