"""The stages of `decide_existence`: each proposes in floating point; what is kept has been verified with integers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.exact.products import as_smallest, integer_product
from jaxsoftmax.proof.exact.witness import Multipliers, is_stationary, margins, signs
from jaxsoftmax.proof.existence.status import Existence, Separation
from jaxsoftmax.proof.overlap.face_fit import fit_face
from jaxsoftmax.proof.overlap.multipliers import exact_multipliers
from jaxsoftmax.proof.separation.linear_program import Recession, solve_recession
from jaxsoftmax.proof.separation.rational_program import exchange_cost, solve_rationally
from jaxsoftmax.proof.separation.reduced_columns import reduced_columns, reduction_cost
from jaxsoftmax.proof.separation.thresholds import Found, one_feature_directions

__all__ = ["Search"]

LARGE = 1500  # weights C·K from which a fit of all classes costs more than a proof by two of them
TALL = 50  # samples a column from which overlap is likelier than complete separation
VERY_LARGE = 2 * 10**7  # entries of X from which a search for complete separation costs more than two classes' overlap
_SECONDS_AN_ENTRY = 3e-8  # of X, to convert and to scale
_EXCHANGES = 10  # of the simplex method in rational arithmetic: with less time for it, it is not begun
_RATIONAL_SHARE = 0.8  # of the time left, which two overlapping classes also need
_NEEDS_FLINT = "Exact solving needs python-flint: pip install 'jaxsoftmax[exact]'."


class Search:
    """What is known so far about one data set; `run` goes through the stages until the verdict is final.

    Attributes:
        V: (C, K) integers, a recession direction in the units of `data.integers` (the sum of those found), or None.
        separated: (n, C) bool, its positive margins.
        G: multipliers that go with the verdict, or None.
        status, type, face_maximal, infimum_estimate, proof, proved, reason: as in `ExistenceVerdict`.
        stages: (name, seconds) of what was tried.
    """

    data: ExactData
    exact: bool
    deadline: float
    tell: Callable[[str], None]
    pairs: np.ndarray
    separated: np.ndarray
    status: Existence
    proved: bool
    reason: str
    budget_spent: bool

    def __init__(self, data: ExactData, exact: bool, deadline: float, tell: Callable[[str], None]) -> None:
        self.data, self.exact, self.deadline, self.tell = data, exact, deadline, tell
        self.pairs = ~data.support
        self.V: np.ndarray | None = None
        self.separated = np.zeros_like(self.pairs)
        self.G: Multipliers | None = None
        self.found: Found | None = None
        self.status = Existence.UNDECIDED
        self.type: Separation | None = None
        self.face_maximal: bool | None = None
        self.infimum_estimate: float | None = None
        self.proof: str | None = None
        self.proved = True
        self.reason = ""
        self.failures: list[str] = []
        self.budget_spent = False
        self.stages: list[tuple[str, float]] = []

    # ── the order ──
    def run(self) -> None:
        """Go through the stages until one is final or the budget is spent."""
        if not self.pairs.any():
            return self._attained("positive-targets", "every target probability is positive (S9)")
        if not len(self.data.columns):
            return self._attained("coercive", "the regularizer leaves no direction but the gauge (S21e)")
        one, whole = ("one feature at a time (S12)", self._one_feature), ("complete separation (S9)", self._separate)
        face, pair = ("fit and exact multipliers (S10)", self._face), ("two overlapping classes (S10)", self._overlap)
        large = self.data.C * len(self.data.columns) > LARGE
        if len(self.data.rows) * len(self.data.columns) > VERY_LARGE:
            stages = [one, pair, whole, face]
        else:
            tall = len(self.data.rows) > TALL * len(self.data.columns)
            stages = [one, whole, pair, face] if large else [one, face, whole] if tall else [one, whole, face]
        stages += [
            ("linear program (S11)", self._program),
            ("the same in reduced columns (S11)", self._reduced_program),
            ("the same in rational arithmetic (S11)", self._rational_program),
        ]
        stages += [] if large else [pair]
        if not self.exact:
            stages = [stages[0], ("fit in floating point", self._estimate)]
        for name, stage in stages:
            if self._remaining() <= (0 if stage == self._one_feature else self._least_seconds()):
                self.budget_spent = True
                self.failures.append("the budget was spent")
                break
            self.tell(name)
            began = time.perf_counter()
            try:
                final = stage()
            except ImportError:
                self.failures.append(_NEEDS_FLINT)
                final = False
            except (OverflowError, np.linalg.LinAlgError) as error:  # floating point only proposes: go on without
                self.failures.append(f"{name}: floating point failed ({error})")
                final = False
            self.stages.append((name, time.perf_counter() - began))
            if final:
                return None
        return self._open()

    def _least_seconds(self) -> float:
        """What any stage but the first takes to read the data: none is begun that could not end in time."""
        return _SECONDS_AN_ENTRY * len(self.data.rows) * len(self.data.columns)

    def _remaining(self) -> float:
        return self.deadline - time.perf_counter()

    # ── the stages: True when the verdict is final ──
    def _one_feature(self) -> bool:
        if not self.data.one_hot:
            return False
        self.found = one_feature_directions(self.data)
        if not self.found.entries:
            return False
        data = self.data
        place = {int(d): k for k, d in enumerate(data.columns)}
        used = sorted({place[d] for _, d in self.found.entries})
        part = {k: i for i, k in enumerate(used)}
        scales = [self._scale(k) for k in used]
        common = math.lcm(*(value.denominator * scales[part[place[d]]] for (_, d), value in self.found.entries.items()))
        V = np.zeros((data.C, len(used)), dtype=object)
        for (c, d), value in self.found.entries.items():
            k = part[place[d]]
            V[c, k] = int(value * common / scales[k])
        V //= math.gcd(*V.ravel().tolist())
        found = margins(data.some_columns(np.array(used)), data.support, as_smallest(V))
        assert found is not None and found.any()  # S12: comparisons have shown that V is a recession direction
        whole = np.zeros((data.C, len(data.columns)), dtype=object)
        whole[:, used] = V
        self.V, self.separated = whole, (found > 0).astype(bool)
        return self._complete("one feature at a time (S12)")

    def _scale(self, k: int) -> int:
        if self.data.values.dtype.kind in "biu":
            return 1
        return self.data.scales[k]

    def _separate(self) -> bool:
        if not self.data.one_hot:
            return False
        from jaxsoftmax.proof.separation.search import separating_weights

        share = 0.5 if self.data.C * len(self.data.columns) > LARGE else 0.25
        V = separating_weights(self.data.integers, self.data.support, share * self._remaining())
        return self._take(V) and self._complete("a fit that classifies every sample, its margins taken exactly (S9)")

    def _face(self) -> bool:
        """The minimum on the face of the pairs not separated so far, its residual corrected exactly."""
        targets, weights = self.data.targets_and_weights
        allowed = self.pairs & ~self.separated
        A, support = self.data.integers, self.data.support
        fit = fit_face(A, support, targets, weights, allowed, 0.5 * self._remaining())
        if fit.diverging:
            self.failures.append("the fit diverges, yet no separating direction could be rounded to an exact one")
            return False
        G = exact_multipliers(A, support, allowed, fit.residual)
        if G is None or not self._certify(G, allowed):
            self.failures.append("the residual of the fit could not be corrected to exact multipliers")
            return False
        self.G = G
        if self.V is None:
            self._attained("multipliers", "the residual of a fit, corrected exactly (S10)")
        else:
            self._quasi_complete(
                True,
                "thresholds on features (S12), then a fit to the pairs not separated, its residual made exact (S10)",
            )
            self.infimum_estimate = None if self.data.host.regularizer else fit.loss
        return True

    def _overlap(self) -> bool:
        if self.V is None or not self.data.one_hot:
            return False
        from jaxsoftmax.proof.overlap.pair import overlapping_pair

        G = overlapping_pair(self.data.integers, self.data.support, 0.8 * self._remaining())
        if G is None or not self._certify(G, np.zeros_like(self.pairs)):
            return False
        self.G = G
        self._quasi_complete(False, "a separating direction, and two classes whose convex hulls intersect (S10)")
        return True

    def _program(self) -> bool:
        found = solve_recession(self.data.integers, self.data.support, self._remaining())
        return self._conclude(found, "the linear program, its solution rounded exactly (S11)")

    def _reduced_program(self) -> bool:
        """Once more where columns are dependent but for their last bits, which floating point does not see."""
        A = self.data.integers
        if reduction_cost(A) > 0.2 * self._remaining():
            return False
        B, U = reduced_columns(A)
        found = solve_recession(B, self.data.support, self._remaining())
        V = None if found.V is None else integer_product(found.V, U.T)
        return self._conclude(found._replace(V=V), "the linear program in reduced columns, rounded exactly (S11)")

    def _rational_program(self) -> bool:
        """Once more where floating point cannot tell what is a tie: every number of the program is a rational."""
        A, support = self.data.integers, self.data.support
        seconds = _RATIONAL_SHARE * self._remaining()
        cost = _EXCHANGES * exchange_cost(A, support)
        if cost > seconds:
            self.budget_spent = self.budget_spent or cost < math.inf
            limit = "for the budget" if cost < math.inf else "to be begun"
            self.failures.append(f"the linear program in rational arithmetic is too large {limit}")
            return False
        found = solve_rationally(A, support, self.separated, seconds)
        failure = "the time for the linear program in rational arithmetic ended"
        if self._conclude(found, "the linear program in rational arithmetic (S11)", failure):
            return True
        self.budget_spent = True
        return False

    def _conclude(
        self,
        found: Recession,
        how: str,
        failure: str = "the solution of the linear program could not be rounded to an exact one",
    ) -> bool:
        self._take(found.V)
        if self._complete(how):
            return True
        allowed = self.pairs & ~self.separated
        if found.G is None or not self._certify(found.G, allowed):
            self.failures.append(failure)
            return False
        self.G = found.G
        if self.V is None:
            self._attained("multipliers", how)
        else:
            self._quasi_complete(True, how)
            self.infimum_estimate = self._infimum(allowed)
        return True

    def _estimate(self) -> bool:
        """Floating point alone: what the fit on the face suggests."""
        targets, weights = self.data.targets_and_weights
        allowed = self.pairs & ~self.separated
        fit = fit_face(self.data.integers, self.data.support, targets, weights, allowed, self._remaining())
        self.proved, self.reason = False, "a fit in floating point, nothing rounded or proved (exact=False)"
        if not fit.diverging:
            self.status = Existence.ATTAINED if self.V is None else Existence.NOT_ATTAINED
            self.type = Separation.NONE if self.V is None else Separation.QUASI_COMPLETE
            self.face_maximal = None if self.V is None else True
            self.infimum_estimate = fit.loss if self.V is not None and not self.data.host.regularizer else None
        elif self.V is not None:
            self.proved = True
            return False
        else:
            self.reason = "the fit diverges: probably no minimiser exists, and exact=False forbids the proof"
        return True

    # ── what is taken, after exact verification ──
    def _take(self, V: np.ndarray | None) -> bool:
        """Add a direction to those found (recession directions form a cone); whether it separates anything."""
        found = None if V is None else margins(self.data.integers, self.data.support, V)
        if V is None or found is None or not found.any():
            return False
        separated = (found > 0).astype(bool)
        V = V.astype(object)
        keep_old = self.V is not None and not (separated | ~self.separated).all()
        self.V = V + self.V if keep_old else V
        self.separated = self.separated | separated
        return True

    def _certify(self, G: Multipliers, positive: np.ndarray) -> bool:
        """Whether G is stationary, nowhere negative off the supports, positive somewhere and on the pairs asked for."""
        sign = signs(G, *self.pairs.shape)
        good = bool((sign[positive] > 0).all() and (sign[self.pairs] >= 0).all() and (sign[self.pairs] > 0).any())
        return good and is_stationary(self.data.integers, G)

    # ── verdicts ──
    def _attained(self, proof: str, reason: str) -> None:
        self.status, self.type, self.proof, self.reason = Existence.ATTAINED, Separation.NONE, proof, reason

    def _complete(self, reason: str) -> bool:
        if self.V is None or not self.separated[self.pairs].all():
            return False
        self._not_attained(Separation.COMPLETE, reason)
        self.infimum_estimate = self._infimum(np.zeros_like(self.pairs))
        return True

    def _quasi_complete(self, maximal: bool, reason: str) -> None:
        self._not_attained(Separation.QUASI_COMPLETE, reason)
        self.face_maximal = maximal

    def _not_attained(self, type: Separation, reason: str) -> None:
        self.status, self.type, self.proof, self.reason = Existence.NOT_ATTAINED, type, "direction", reason

    def _open(self) -> None:
        why = "; ".join(dict.fromkeys(self.failures))
        if self.V is None:
            self.reason = why or "no stage reached a proof"
        else:
            cheap = self.found is not None and bool(self.found.entries)
            how = "one feature at a time (S12)" if cheap else "a separating direction"
            self._not_attained(Separation.OPEN, f"{how}; complete or not is open: {why}" if why else how)

    def _infimum(self, allowed: np.ndarray) -> float | None:
        """inf L: the minimum of the loss with the separated pairs left out (S11), estimated in float64."""
        if self.data.host.regularizer:
            return None
        if self.data.one_hot and not allowed.any():
            return 0.0
        targets, weights = self.data.targets_and_weights
        fit = fit_face(self.data.integers, self.data.support, targets, weights, allowed, max(self._remaining(), 1.0))
        return None if fit.diverging else fit.loss

    def direction(self) -> np.ndarray:
        """V (C, D) in the units of X, the intercept last: Python integers without a common factor."""
        data = self.data
        assert self.V is not None
        V = np.zeros((data.C, data.given + data.intercept), dtype=object)
        for k in np.flatnonzero((self.V != 0).any(axis=0)):
            V[:, data.columns[k]] = self.V[:, k] * self._scale(int(k))
        return V // math.gcd(*V.ravel().tolist())
