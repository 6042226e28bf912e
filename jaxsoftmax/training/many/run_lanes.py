"""From a batch to the arrays of its lanes, through the compiled call in blocks, and from its ends to `Fit` objects.

Guarded by `tests/training/many/test_fit_many.py`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.null_space import free_directions
from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors, complement_projectors
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.problem.fields import reweighted
from jaxsoftmax.problem.label_targets import LabelTargets
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import cast_strengths
from jaxsoftmax.training.columns import Columns, ExactData, exactly_in_columns, working_columns
from jaxsoftmax.training.end_point import EndPoint, evaluate, gauge_part, radius_factor, separates, slope_at
from jaxsoftmax.training.judge import history_table, judge
from jaxsoftmax.training.loop.protocol import Method
from jaxsoftmax.training.loop.run import GRADIENT_TOLERANCE, STEP_LIMIT, Carry, Limits, largest_ratio
from jaxsoftmax.training.many.batch import Batch
from jaxsoftmax.training.many.kept import CHUNK, EXPECTED, SMALLEST, Ground
from jaxsoftmax.training.many.lanes import KEPT, METHOD, evaluate_ground, train, train_kept
from jaxsoftmax.training.result import Fit, Status
from jaxsoftmax.training.row_bucket import bucket, filled_up

# Numbers that the lanes of one call hold at once: they stay in a cache (`benchmarks/many.py`).
MOST_NUMBERS = 2**22


@dataclasses.dataclass
class Lanes:
    """The data of some lanes of a batch in float64, in their working columns, with rows of weight 0 up to one N.

    Attributes:
        batch: where they come from.
        problem: what all lanes share; of lanes with data of their own, the first.
        parts: for each such lane its `Problem`; empty where they share X and the targets.
        columns: the working columns, one for all or one a lane.
        constants: Newton's, one for all or one a lane.
        betas: S13's β of the samples that any lane takes, one for all or one a lane; of penalties see `beta`.
    """

    batch: Batch
    problem: Problem
    parts: list[Problem]
    columns: list[Columns]
    constants: list[ComplementProjectors]
    betas: list[float]

    def own(self, places: list[int]) -> dict[str, Any]:
        """What replaces parts of `problem`, the lanes first."""
        lanes = [self._own(place) for place in places]
        return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *lanes)

    def _own(self, place: int) -> dict[str, Any]:
        penalties = cast_strengths(self.batch.penalties_of(place), np.dtype(np.float64))
        own: dict[str, Any] = {"regularizer": penalties} if penalties else {}
        if self.parts:
            part = self.parts[place]
            return own | {"X": part.X, "T": part.targets, "sample_weight": part.sample_weight}
        if self.batch.weights is not None:
            weights = self.batch.weights[place]
            own["sample_weight"] = np.pad(weights, (0, self.problem.N - len(weights)))
        return own

    def beta(self, place: int) -> float:
        """S13's β of a lane: the largest of its samples, and of those that a self-regulariser adds (S21d)."""
        scale = float(np.min(self.constants[place if self.parts else 0].scale))
        extra = [one.sample_scale for one in self.batch.penalties_of(place) if one.sample_scale is not None]
        added = [math.sqrt(2.0) * abs(float(gamma)) / scale for gamma in extra]
        return max([self.betas[place if self.parts else 0], *added])

    def problem_at(self, place: int) -> Problem:
        """The problem of a lane, in float64 and its working columns."""
        return self.problem.replace(**self._own(place))

    def columns_of(self, place: int) -> Columns:
        """The working columns of a lane."""
        return self.columns[place if self.parts else 0]

    def constants_of(self, places: list[int]) -> ComplementProjectors:
        """Newton's constants: one for all lanes, or the lanes first."""
        if not self.parts:
            return self.constants[0]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(self.constants[place] for place in places))


def lanes_of(batch: Batch, places: list[int]) -> Lanes:
    """The lanes of a batch, of which those at `places` will be trained: the same penalties act in all of these."""
    if batch.shared is not None:
        seen = batch.shared.replace(regularizer=batch.penalties_of(places[0]))
        if batch.weights is not None:
            seen = reweighted(seen, np.any(batch.weights[places] > 0, axis=0).astype(np.float64))
        columns = working_columns(seen)
        problem = exactly_in_columns(filled_up(seen), columns)
        constants = complement_projectors(problem, free_directions(problem))
        return Lanes(batch, problem, [], [columns], [constants], [_beta(problem, constants)])
    columns = [working_columns(problem) for problem in batch.several]
    parts = [exactly_in_columns(problem, own) for problem, own in zip(batch.several, columns, strict=True)]
    if len({_label_kind(part.targets) for part in parts}) > 1:
        parts = [part.replace(T=part.T) for part in parts]
    constants = [complement_projectors(part, free_directions(part)) for part in parts]
    betas = [_beta(part, mine) for part, mine in zip(parts, constants, strict=True)]
    rows = bucket(max(part.N for part in parts))
    parts = [_longer(part, rows - part.N) for part in parts]
    return Lanes(batch, parts[0], parts, columns, constants, betas)


def _beta(problem: Problem, constants: ComplementProjectors) -> float:
    return radius_factor(problem.replace(regularizer=()), np.asarray(constants.scale))


def _label_kind(targets: Any) -> Any:
    return targets.codes.dtype if isinstance(targets, LabelTargets) else None


def _longer(problem: Problem, more: int) -> Problem:
    """The problem with so many samples of weight 0 more, each the first one again."""

    def longer(part: Any) -> Any:
        return jnp.concatenate([part, jnp.repeat(part[:1], more, axis=0)])

    T = problem.targets
    T = dataclasses.replace(T, codes=longer(T.codes)) if isinstance(T, LabelTargets) else longer(T)
    weights = jnp.concatenate([problem.sample_weight, jnp.zeros(more, problem.sample_weight.dtype)])
    return problem.replace(X=longer(problem.X), T=T, sample_weight=weights)


def alike(batch: Batch) -> list[list[int]]:
    """The places of the lanes in which the same penalties act, group by group: these share null spaces and columns."""
    groups: dict[tuple, list[int]] = {}
    for place in range(len(batch)):
        acting = tuple(float(one.strength) > 0 for one in batch.penalties_of(place))
        groups.setdefault(acting, []).append(place)
    return list(groups.values())


def blocks_of(places: list[int], problem: Problem) -> Iterator[list[int]]:
    """The places in blocks of one length that one call trains; the last repeats its last place to be as long."""
    N, D, C = problem.shape
    most = max(1, MOST_NUMBERS // max(N * C * (C - 1) // 2, 4 * N * C, 4 * (C * D) ** 2))
    count = -(-len(places) // most)
    length = bucket(-(-len(places) // count))
    for start in range(0, len(places), length):
        block = places[start : start + length]
        yield block + block[-1:] * (length - len(block))


def trained(
    lanes: Lanes, places: list[int], starts: Any, limits: Limits, ground: Ground | None = None
) -> tuple[dict[int, Fit], Ground | None]:
    """The fits of some places, trained together; `starts`: (C, D) for each place, in the columns given.

    `ground` is what the call before left for the same lanes under other penalties, None at first; with it comes what is
    left for the next.
    """
    W0 = np.stack([lanes.columns_of(place).inward(starts[place]) for place in places])
    own, constants = lanes.own(places), lanes.constants_of(places)
    if _keeps(lanes, places):
        run = _trained_with_ground(lanes, places, own, W0, limits, ground)
        if run is not None:
            carry, curvatures, ground = run
            return _all_finished(lanes, places, KEPT, carry, curvatures, limits), ground
    ends = train(placement(lanes.problem), bool(lanes.parts), lanes.problem, own, jnp.asarray(W0), constants, limits)
    ends = jax.tree.map(np.asarray, ends)
    return _all_finished(lanes, places, METHOD, ends.carry, ends.curvature, limits), None


def _keeps(lanes: Lanes, places: list[int]) -> bool:
    """Whether inverses are kept: where they pay, and the curvature can be carried along."""
    if lanes.parts or lanes.problem.C * lanes.problem.D < SMALLEST:
        return False
    return all(one.concordance is None for one in lanes.batch.penalties_of(places[0]))


def _trained_with_ground(
    lanes: Lanes, places: list[int], own: Any, W0: np.ndarray, limits: Limits, ground: Ground | None
) -> tuple[Carry, np.ndarray, Ground] | None:
    """The ends and curvatures of lanes trained with inverses that are kept; None where Newton's own way has to do it.

    That is where a Hessian has no factor, or a lane did not reach the tolerance.
    """
    penalties, constants = [lanes.batch.penalties_of(place) for place in places], lanes.constants_of(places)

    def made(W: np.ndarray) -> Ground | None:
        inverses, curvatures = evaluate_ground(lanes.problem, own, jnp.asarray(W), constants)
        known = np.asarray(curvatures)
        return Ground(W, penalties, known, inverses) if np.isfinite(known).all() else None

    W, where, taken = W0, placement(lanes.problem), np.zeros(len(places), np.int32)
    ground = made(W) if ground is None or ground.is_worn(lanes.problem) else ground
    while ground is not None:
        some = limits._replace(max_steps=np.int32(min(CHUNK, limits.max_steps - taken.max())))
        given = (jnp.asarray(W), jnp.asarray(ground.W), ground.inverses, constants)
        ends = train_kept(where, lanes.problem, own, *given, some)
        ends = jax.tree.map(np.asarray, ends)
        W, taken = ends.carry.W, taken + ends.carry.step
        ground.wasted += max(0, int(np.max(ends.products - EXPECTED * ends.carry.step))) * len(places)
        if (ends.carry.status == GRADIENT_TOLERANCE).all():
            return _with_curvatures(lanes, places, ends.carry._replace(step=taken), ends.rho, ground, made)
        if not np.isin(ends.carry.status, (GRADIENT_TOLERANCE, STEP_LIMIT)).all() or taken.max() >= limits.max_steps:
            return None
        ground = made(W) if ground.is_worn(lanes.problem) else ground
    return None


def _with_curvatures(
    lanes: Lanes, places: list[int], carry: Carry, rho: np.ndarray, ground: Ground, made: Any
) -> tuple[Carry, np.ndarray, Ground] | None:
    """Curvatures at the end, carried along where that leaves q < 1 (S13), else evaluated: the ground is then new."""

    def proves(lane: int, mu: float) -> bool:
        q = _ratio(lanes, places[lane], np.asarray(carry.gradient[lane]), mu)
        return q is not None and q < 1

    moved = zip(map(lanes.batch.penalties_of, places), rho.tolist(), strict=True)
    curvatures = np.array([ground.curvature_at(lane, now, one) for lane, (now, one) in enumerate(moved)])
    if not all(map(proves, range(len(places)), curvatures)):
        ground = made(carry.W)
        if ground is None:
            return None
        curvatures = ground.curvatures
    return carry, curvatures, ground


def _all_finished(
    lanes: Lanes, places: list[int], method: Method, carry: Carry, curvatures: np.ndarray, limits: Limits
) -> dict[int, Fit]:
    return {
        place: _finished(lanes, place, method, jax.tree.map(lambda leaf, lane=lane: leaf[lane], carry), mu, limits)
        for lane, (place, mu) in enumerate(zip(places, curvatures.tolist(), strict=True))
    }


def _ratio(lanes: Lanes, place: int, g: np.ndarray, curvature: float) -> float | None:
    """S13's q of a lane with this gradient; None where its curvature is not known."""
    penalties = lanes.batch.penalties_of(place)
    if not curvature > 0 or any(one.concordance is not None for one in penalties):
        return None
    scale = np.asarray(lanes.constants[place if lanes.parts else 0].scale)
    inner = float(np.sum(((g - g.mean(axis=0)) / scale) ** 2))
    gauge = gauge_part(lanes.problem_at(place), g) if penalties else 0.0
    return lanes.beta(place) * math.sqrt(inner + curvature * gauge) / curvature


def _finished(lanes: Lanes, place: int, method: Method, raw: Carry, curvature: float, limits: Limits) -> Fit:
    """What is said of one lane: from the compiled call where that settles it, else evaluated as `fit` does."""
    columns, g, V = lanes.columns_of(place), np.asarray(raw.gradient), np.asarray(raw.W)
    W = columns.outward(V)
    end = EndPoint(float(raw.value), g, gap=max(0.0, 0.5 * float(raw.decrement)), spread=float(raw.spread))
    end = end._replace(q=_ratio(lanes, place, g, curvature))
    penalties, given = lanes.batch.penalties_of(place), lanes.batch.first
    separated, rounding = False, 0.0
    moved = columns.shift.any()  # then the intercept was rounded on the way out, and W itself is evaluated
    if moved or end.q is None or not end.q < 1 or int(raw.status) != GRADIENT_TOLERANCE:
        data = ExactData(lanes.problem_at(place), lambda: iter(()))
        end = EndPoint(float(raw.value), g)
        if moved and np.isfinite(W).all():
            V = columns.inward(W if penalties else W - W[:1])
            end, rounding = slope_at(data, V), float(np.spacing(np.max(np.abs(W[:, -1]))))
            g = end.gradient
        end = evaluate(data, V, end)
        separated = separates(data, V)
    small, history = largest_ratio(g, raw.scale), history_table(raw)
    code, reason = judge(method, raw, limits, small, end, separated, rounding, history)
    return Fit(
        W=W,
        loss=end.loss,
        loss_in_training=float(raw.value),
        gradient_norm=float(np.linalg.norm(columns.gradient_outward(g))),
        scaled_gradient=small,
        gap_estimate=end.gap,
        steps=int(raw.step),
        rate_measured=None,
        rate_bound=None,
        rate_estimate=None,
        log_gain_bound=None,
        q_estimate=end.q,
        history=history,
        status=Status(code),
        method=method.name,
        has_intercept=given.intercept,
        reason=reason,
        classes=None if given.classes is None else tuple(given.classes.tolist()),
        feature_names=given.feature_names,
        formula=None if given.host is None else given.host.formula,
    )
