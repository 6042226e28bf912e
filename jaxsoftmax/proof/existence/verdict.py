"""`ExistenceVerdict`: whether a minimiser exists, what proves it, and what it means in words."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import jax
import numpy as np

from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.exact.witness import Multipliers
from jaxsoftmax.proof.existence.certificate import certificate_of, write_certificate
from jaxsoftmax.proof.existence.explanation import explanation, headline, remedy, verdict_document
from jaxsoftmax.proof.existence.status import Existence, Separation
from jaxsoftmax.proof.separation.thresholds import Found
from jaxsoftmax.reporting.blocks import Document
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report

__all__ = ["ExistenceVerdict"]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ExistenceVerdict(Report):
    """The verdict of `decide_existence` with its witness; `repr` is the report, `explain()` says it in words.

    Attributes:
        status: an `Existence`.
        type: a `Separation`, equal to its text: "complete" (every sample is separated from every class outside its
            target; inf L = 0 for one-hot targets), "quasi-complete" (some pairs are, and it is proved that not all can
            be), "open" (some are; whether all can be was not decided), "none" (ATTAINED), or None (UNDECIDED).
        face_maximal: for "quasi-complete": whether it is proved that no direction separates more pairs (S11).
        infimum_estimate: float64 estimate of inf L when nothing is attained: the minimum of the loss with the separated
            pairs left out (S11); None where it is not known (or a regulariser is there).
        direction: (C, D) object array of Python integers, a recession direction V (S9) in the units of X, or None:
            along it, from any W, the loss falls for ever.
        multipliers: exact families of S10, or None.
        separated: (N, C) bool: the pairs (n, j) that V separates, by a positive margin; or None.
        found: thresholds and inactive features (S12), or None.
        proof: "positive-targets", "coercive", "multipliers" or "direction": what the certificate rests on; None where
            nothing was proved.
        proved: whether the verdict was proved in exact arithmetic (always, unless exact=False was asked for).
        reason: one sentence on how it was decided, or why it was not.
        budget_spent: whether stages were left out for want of time.
        seconds: wall-clock time taken.
        stages: (name, seconds) of what was tried.
        data: the data as read exactly.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> verdict = js.decide_existence(js.Problem.from_labels([[1.0], [2.0], [4.0]], ["a", "a", "b"]))
        >>> verdict.status.name, verdict.type.value, verdict.direction.tolist()
        ('NOT_ATTAINED', 'complete', [[0, 0], [1, -3]])
    """

    status: Existence
    type: Separation | None
    face_maximal: bool | None
    infimum_estimate: float | None
    direction: np.ndarray | None
    multipliers: Multipliers | None
    separated: np.ndarray | None
    found: Found | None
    proof: str | None
    proved: bool
    reason: str
    budget_spent: bool
    seconds: float
    stages: tuple[tuple[str, float], ...]
    data: ExactData

    @property
    def attained(self) -> bool | None:
        """True, False, or None where it is undecided.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> js.decide_existence(js.Problem.from_labels([[0.0], [0.0]], [0, 1])).attained
            True
        """
        return {Existence.ATTAINED: True, Existence.NOT_ATTAINED: False}.get(self.status)

    def direction_entries(self) -> list[tuple[int, int, Fraction]]:
        """(class, column, value) of every entry of V that is not 0, in order; the intercept is the last column."""
        if self.direction is None:
            return []
        return [(int(c), int(d), Fraction(int(self.direction[c, d]))) for c, d in np.argwhere(self.direction != 0)]

    def diverging(self) -> list[tuple[str, list[str]]]:
        """Which classes' weights diverge along V, and along which features, relative to the other classes.

        The gauge is fixed by taking the median class of each column as reference, so that a column in which one class
        moves names that class alone.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> js.decide_existence(js.Problem.from_labels([[0.0], [0.0], [2.0]], ["a", "b", "c"])).diverging()
            [('c', ['x0', 'intercept'])]
        """
        if self.direction is None:
            return []
        V = self.direction
        middle = np.sort(V, axis=0)[(V.shape[0] - 1) // 2]
        classes, columns = self.data.names()
        moved = V != middle
        return [(classes[c], [columns[d] for d in np.flatnonzero(row)]) for c, row in enumerate(moved) if row.any()]

    def explain(self) -> str:
        """The verdict in words: what separates which classes, what the infimum is, and what can be done.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
            >>> problem = js.Problem.from_labels([[1.5], [2.0], [4.0]], ["a", "a", "b"], feature_names=["width"])
            >>> print(js.decide_existence(problem).explain().splitlines()[1])
            class a is separated from class b by width < 3.
        """
        return "\n".join([*explanation(self), *remedy(self)])

    def save(self, path: Any, table: dict[str, Any] | None = None) -> None:
        """Write the certificate (JSON), which `jaxsoftmax check` and check_existence.py verify from the data alone.

        Args:
            path: the file; an existing one is replaced once the new one is complete.
            table: how a text table is to be read, {"delimiter", "header", "target"}; the command `certify` fills it in.
                Without it the certificate is checked against IDX files or the exact text of `problem.dump`.

        Raises:
            TypeError, ValueError: nothing was proved, or the file cannot be written.

        Example:
            >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np, pathlib, tempfile
            >>> from jaxsoftmax.proof.checkers.check_existence import check
            >>> problem, folder = js.Problem.from_labels([[1.0], [2.0]], [0, 1]), pathlib.Path(tempfile.mkdtemp())
            >>> js.decide_existence(problem).save(folder / "cert.json")
            >>> problem.dump(folder / "data.txt")
            >>> check(folder / "cert.json", folder / "data.txt").type
            'complete'
        """
        if self.proof is None:
            why = "it is UNDECIDED" if self.proved else "it rests on floating point alone (exact=False)"
            raise ValueError(
                f"save: this verdict has no certificate: {why} ({self.reason}). Call decide_existence with exact=True "
                "and a larger budget, or with decimal=True for a table of decimals."
            )
        write_certificate(path, certificate_of(self, table))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the report's fields, V by its entries, and the sizes of the multipliers."""
        entries = [[c, d, str(v)] for c, d, v in self.direction_entries()]
        G = self.multipliers
        return {
            "status": self.status.name,
            "type": self.type and self.type.value,
            "face_maximal": self.face_maximal,
            "infimum_estimate": json_ready(self.infimum_estimate),
            "direction": entries if self.direction is not None else None,
            "multipliers": None if G is None else {"rows": int(sum(len(b.rows) for b in G.blocks))},
            "separated_pairs": None if self.separated is None else int(self.separated.sum()),
            "proof": self.proof,
            "proved": self.proved,
            "reason": self.reason,
            "seconds": self.seconds,
        }

    def headline(self) -> str:
        """The status in a line, with the kind of separation, and whether it is proved.

        Example:
            >>> import jaxsoftmax as js
            >>> js.decide_existence(js.Problem.from_labels([[1.5], [2.0]], ["a", "b"])).headline()
            'NOT_ATTAINED (complete separation)'
        """
        return headline(self)

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the margins along the separating direction (`js.plots.plot_margins`); without one, what was tried."""
        from jaxsoftmax.plots.separation import plot_margins, plot_stages

        return (plot_stages if self.direction is None else plot_margins)(self, ax=ax)

    def document(self) -> Document:
        """The verdict, in words and with its witness."""
        return verdict_document(self)
