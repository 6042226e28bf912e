"""`Certificate`: what is proved about the minimiser of a data set, in numbers, words and a file (S13-S17).

Guarded by `tests/cli/test_proofs.py`.
"""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import jax
import numpy as np

from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.exact.decimals import exponent10, float_estimate
from jaxsoftmax.proof.existence.certificate import write_certificate
from jaxsoftmax.proof.minimum.prove import Proof
from jaxsoftmax.proof.minimum.row_space import Dropped
from jaxsoftmax.reporting.blocks import Document, Facts, Title
from jaxsoftmax.reporting.report import Report

__all__ = ["Certificate"]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Certificate(Report):
    """A proof that a minimiser exists near known weights, with an interval for the minimum; `repr` is the report.

    Numbers are decimal strings, each rounded in the safe direction.

    Attributes:
        loss_lower, loss_upper: the minimum L* lies between them.
        digits: significant decimals on which they agree.
        q: S13's number; below 1, so a minimiser W* exists; all others differ from it by the null space (S6).
        radius: ‖(W* − Ŵ) Σ‖_F is at most this, Σ = diag(2^scaling).
        radius_euclidean: ‖W* − Ŵ‖_F is at most this.
        curvature_bound: H(Ŵ) ⪰ this in ‖·‖_Σ off the null space, on Σ_c v_c = 0: there the minimiser is, and descent
            from Ŵ stays (an L2 penalty alone acts along the other directions, with its own curvature α).
        curvature_euclidean_bound: the same in the Euclidean norm: that bound times the least squared scale. Where the
            scales differ it may be far below the least eigenvalue; condition_bound and rate_bound rest on it.
        curvature_upper_bound: no Hessian of this problem has a larger eigenvalue (S7a).
        condition_bound: of the Hessian on the same directions, anywhere in the ball.
        rate_bound: a step 1/Λ of gradient descent from Ŵ multiplies the distance to the minimiser nearest to Ŵ by at
            most this (S17).
        data_sha256: hash of the data as read.
        proof: weights, curvature and precision, as the file has them.
        dropped: columns of X that are combinations of others on the samples of positive weight.
        seconds: wall-clock time, training excluded.
        data: the data as read exactly.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> certificate = js.certify(problem, np.array([[-0.4, 0.6], [0.4, -0.6]]), digits=30)
        >>> certificate.loss_lower[:28]
        '2.34748653512134554510850479'
    """

    loss_lower: str
    loss_upper: str
    digits: int
    q: str
    radius: str
    radius_euclidean: str
    curvature_bound: str
    curvature_euclidean_bound: str
    curvature_upper_bound: str
    condition_bound: str
    rate_bound: str
    data_sha256: str
    proof: Proof
    dropped: tuple[Dropped, ...]
    seconds: float
    data: ExactData

    def exact_weights(self) -> list[list[Fraction]]:
        """Ŵ (C, D) as rationals, in the gauge Σ_c w_c = 0; dropped columns have weight 0.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem.from_labels([[1.0], [1.0], [1.0]], [0, 1, 0], intercept=False)
            >>> W = js.certify(problem, np.array([[0.3], [-0.3]]), digits=50).exact_weights()  # log 2 apart
            >>> W[0][0] + W[1][0], float(W[0][0] - W[1][0])
            (Fraction(0, 1), 0.6931471805599453)
        """
        D = self.data.given + self.data.intercept
        found = [[Fraction(0)] * D for _ in range(self.data.C)]
        for c, row in enumerate(self.proof.W):
            for k, d in enumerate(self.proof.data.columns):
                found[c][int(d)] = Fraction(int(row[k]), 1 << self.proof.bits)
        return found

    @property
    def W(self) -> np.ndarray:
        """Ŵ (C, D), each entry the float64 nearest to the exact one."""
        return np.array([[float(w) for w in row] for row in self.exact_weights()])

    def weight_error_bounds(self) -> np.ndarray:
        """(D,) float64, rounded up: |w*_cd − ŵ_cd| is at most this for every class c; 0 for dropped columns.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem.from_labels([[1.0], [1.0], [1.0]], [0, 1, 0], intercept=False)
            >>> bool(js.certify(problem, np.array([[0.3], [-0.3]]), digits=20).weight_error_bounds()[0] < 1e-9)
            True
        """
        found = np.zeros(self.data.given + self.data.intercept)
        for d, bound in self._exact_error_bounds().items():
            found[d] = math.nextafter(float_estimate(bound), math.inf)
        return found

    def _exact_error_bounds(self) -> dict[int, Fraction]:
        """The same exactly, of the columns kept: r / σ_d; a double ends at 5e-324."""
        exponents = zip(self.proof.data.columns, self.proof.curvature.exponents, strict=True)
        return {int(d): Fraction(self.radius) / Fraction(2) ** int(e) for d, e in exponents}

    def weight_digits(self) -> np.ndarray:
        """(C, D) integers: correct significant decimals of each weight of Ŵ; -1 for dropped columns.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem.from_labels([[1.0], [1.0], [1.0]], [0, 1, 0], intercept=False)
            >>> bool((js.certify(problem, np.array([[0.3], [-0.3]]), digits=20).weight_digits() >= 9).all())
            True
        """
        found = np.full((self.data.C, self.data.given + self.data.intercept), -1)
        exact = self.exact_weights()
        for d, bound in self._exact_error_bounds().items():
            for c in range(self.data.C):
                size = abs(exact[c][d])
                found[c, d] = max(0, exponent10(size / bound)) if size > 0 and bound > 0 else 0
        return found

    def directions(self) -> str:
        """On which directions V the bounds of the curvature hold, in words.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem.from_labels([[1.0], [1.0], [1.0]], [0, 1, 0], intercept=False)
            >>> js.certify(problem, np.array([[0.35], [-0.35]])).directions()
            'off the null space'
        """
        return "where Σ_c v_c = 0" if self.proof.data.alpha else "off the null space"

    def save(self, path: Any, table: dict[str, Any] | None = None) -> None:
        """Write the certificate (JSON), which `jaxsoftmax check` and check_minimiser.py verify from the data alone.

        Args:
            path: the file; an existing one is replaced once the new one is complete.
            table: how a text table is to be read, as for `ExistenceVerdict.save`.

        Raises:
            TypeError, ValueError: the file cannot be written.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np, pathlib, tempfile
            >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
            >>> path = pathlib.Path(tempfile.mkdtemp()) / "cert.json"
            >>> js.certify(problem, np.array([[-0.4, 0.6], [0.4, -0.6]]), digits=20).save(path)
            >>> js.check_certificate(path, problem).claims["digits"] >= 20
            True
        """
        certificate = {
            "format": "jaxsoftmax-minimiser",
            "version": 1,
            "made_by": f"jaxsoftmax {version('jaxsoftmax')}",
            "data": self.data.described() | {"table": table},
            "claims": self.proof.claims._asdict(),
            "witness": self._witness(),
        }
        write_certificate(path, certificate)

    def _witness(self) -> dict[str, Any]:
        proof, curvature = self.proof, self.proof.curvature
        given, own = self.data.rows, self.data.N + np.arange(len(proof.data.A) - len(self.data.rows))
        places = np.concatenate([given, own])
        pairs = [
            {
                "classes": [pair.a, pair.b],
                "rows": None if pair.rows is None else places[pair.rows].tolist(),
                "m": str(pair.m),
            }
            for pair in curvature.pairs
        ]
        return {
            "bits": proof.bits,
            "weights": [[hex(int(v)) for v in row] for row in proof.W],
            "columns": proof.data.columns.tolist(),
            "dropped": [_combination(one) for one in self.dropped],
            "scaling": [int(e) for e in curvature.exponents],
            "precision": proof.precision,
            "curvature": {
                "method": curvature.method,
                "weight_bits": curvature.weight_bits,
                "pairs": pairs if curvature.method == "pairs" else None,
                "mu": str(curvature.mu),
            },
        }

    def _rank(self) -> int | None:
        """The rank of X on the samples of positive weight; None where a regulariser makes it unnecessary to know."""
        return None if self.data.host.regularizer else len(self.proof.data.columns)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the claims, the hash and how they were proved."""
        return self.proof.claims._asdict() | {
            "curvature_method": self.proof.curvature.method,
            "rank": self._rank(),
            "data_sha256": self.data_sha256,
            "seconds": self.seconds,
        }

    def summary(self) -> str:
        """What is proved, in one sentence, with digits of the minimum that are all correct."""
        known = self.loss_lower
        if self.digits:  # the first digit is not 0 unless L* < 1, where a zero is shown and not counted
            pairs = enumerate(zip(self.loss_lower, self.loss_upper, strict=False))
            known = self.loss_lower[: next((k for k, pair in pairs if pair[0] != pair[1]), None)] + "…"
        near = f"the minimiser is known to {float(self.radius_euclidean):.1e} in norm"
        return f"L* = {known}, {self.digits} digits proved (S13); {near}"

    def plot(self, iterates: Any = None, *, ax: Any = None) -> Any:
        """Draw how exactly each weight is known, or how far `iterates` are from the ball (`js.plots.plot_ball`)."""
        from jaxsoftmax.plots.ball import plot_ball

        return plot_ball(self, iterates, ax=ax)

    def document(self) -> Document:
        """What is proved, and how."""
        data, proof = self.data, self.proof
        columns, rank = data.given + data.intercept, self._rank()
        of_rank = "" if rank is None else f" of rank {rank}"
        facts = [("regularizer", f"{part!r}: proved for loss + regularizer") for part in data.host.regularizer]
        if self.dropped:
            dropped = f"without {len(self.dropped)}, exact combinations of the others on samples of positive weight"
            facts.append(("columns", f"{dropped}; their weights are 0"))
        loose = ", the above times the least squared scale: the least eigenvalue may be far larger"
        loose = loose if len(set(proof.curvature.exponents.tolist())) > 1 else ""
        pace = f"1 − {_gain(self.rate_bound)}"
        facts += [
            ("data", f"{data.N} samples, {columns} columns{of_rank}, {data.C} classes"),
            ("numbers", f"read as {'shortest decimals' if data.decimal else 'the doubles that they are'}"),
            ("minimum", f"L* >= {self.loss_lower}"),
            ("", f"L* <= {self.loss_upper}"),
            ("q", f"{self.q} < 1 (S13), so a minimiser W* exists, unique up to the null space (S6)"),
            ("radius", f"‖W* − Ŵ‖ <= {self.radius_euclidean}; in the norm of S13 with scaled columns {self.radius}"),
            (
                "curvature",
                f"H(Ŵ) >= {self.curvature_bound} in the norm of S13 with scaled columns, {self.directions()} "
                f"({_how(proof)})",
            ),
            ("", f"H(Ŵ) >= {self.curvature_euclidean_bound} in the Euclidean norm{loose}"),
            (
                "condition",
                f"<= {self.condition_bound}, by the Euclidean bound; largest eigenvalue Λ <= "
                f"{self.curvature_upper_bound} (S7a)",
            ),
            ("descent", f"a step 1/Λ from Ŵ multiplies the distance to the minimiser by at most {pace} (S17, S8)"),
            (
                "weights Ŵ",
                f"{proof.bits} binary places, {proof.steps} steps; exp and log as balls of {proof.precision} bits",
            ),
            ("made", f"in {self.seconds:.2f} s; data sha256 {self.data_sha256[:16]}…"),
        ]
        title = f"Certificate: a minimiser exists, and {self.digits} decimal digits of the minimum are proved (S13)"
        return [Title(title, "good"), Facts(facts)]


def _combination(one: Dropped) -> dict[str, Any]:
    q = math.lcm(*(x.denominator for x in one.coefficients.values()))
    entries = [[i, hex(int(x * q))] for i, x in sorted(one.coefficients.items())]
    return {"column": one.column, "denominator": hex(q), "entries": entries}


def _how(proof: Proof) -> str:
    if proof.curvature.method == "full":
        return "by the full matrix, S15"
    return f"a spanning tree of {len(proof.curvature.pairs)} pairs of classes, S14"


def _gain(rate: str) -> str:
    """1 − rate, rounded down, for a report."""
    return f"{float((1 - Fraction(rate)) * Fraction(999, 1000)):.3g}"
