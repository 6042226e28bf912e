"""evidence/crosscheck/tolerances.py: sound on measured errors, tight against worst cases, and the issue's figure."""

import itertools

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision
from jaxsoftmax.evidence.crosscheck import reference, tolerances
from jaxsoftmax.evidence.crosscheck.tolerances import model

pytest.importorskip("flint")

N, D, C = 24, 5, 4
DTYPES = ("float32", "float64")


def make(dtype, scale=1.0, regularizer=None, seed=0):
    """One-hot, soft and confident rows; features of different size; weights; W of a given scale and a direction."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D - 1)) * np.array([1.0, 30.0, 0.01, 1.0])
    X[:, 3] *= rng.random(N) < 0.3
    T = np.where(np.arange(N)[:, None] % 2 == 0, np.eye(C)[rng.integers(0, C, N)], rng.dirichlet(np.ones(C), size=N))
    s = rng.uniform(0.1, 3.0, size=N)
    problem = js.Problem(X, T, intercept=True, sample_weight=s, dtype=dtype, regularizer=regularizer)
    W, V = (rng.normal(size=(2, C, D)) / np.maximum(np.abs(X).max(axis=0, initial=1), 1).max() * scale).astype(dtype)
    return problem, W, V


def scoped(dtype):
    return jax.enable_x64(dtype == "float64")


FAMILIES = [(dtype, scale, reg) for dtype in DTYPES for scale in (1.0, 40.0) for reg in (False, True)]


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "scale", "regularized"), fast(FAMILIES, 1))
def test_measured_errors_stay_within_the_tolerances(dtype, scale, regularized):
    """S1, S2, S4, S8, S21: every hand rule, every entry, against 50 digits."""
    with scoped(dtype):
        penalties = js.L2(0.3) + js.LogCosh(0.4, 1.5) + js.SelfRegularizer(0.7) if regularized else None
        problem, W, V = make(dtype, scale, penalties)
        m = model(W, problem)
        Z = highprecision.logits(W, problem)
        one_hot = np.asarray(problem.T).astype(np.float64)
        columns = [(c, d) for c in range(C) for d in range(D)]
        pairs = {
            "loss": (js.loss(W, problem), highprecision.loss(W, problem), ()),
            "probability": (js.probabilities(W, problem), highprecision.probabilities(Z), ()),
            "log_probability": (-js.log_probabilities(W, problem), highprecision.neg_log_probabilities(Z), ()),
            "gradient": (js.gradient(W, problem), highprecision.gradient(W, problem), ()),
            "hvp": (js.hvp(W, problem, V), highprecision.hvp(W, problem, V), (V,)),
            "quadratic_form": (js.quadratic_form(W, problem, V), highprecision.quadratic_form(W, problem, V), (V,)),
            "third_derivative": (
                js.third_derivative(W, problem, V),
                highprecision.third_derivative(W, problem, V),
                (V,),
            ),
        }
        H = js.hessian(W, problem)
        exact = highprecision.hessian_columns(W, problem, columns)
        pairs["hessian"] = (H.to_dense(), exact, ())
        pairs["hessian_diagonal"] = (H.diagonal(), np.diag(exact).reshape(C, D), ())
        for name, (ours, theirs, directions) in pairs.items():
            tolerance = getattr(tolerances, f"{name}_tolerance")(W, m, *directions)
            ratio = highprecision.errors(ours, theirs) / tolerance
            assert ratio.max() <= 1.0, name
        r = jax.grad(lambda z: js.softmax_cross_entropy(z, problem.T).sum())(js.logits(W, problem))
        # Y - T (S2): dy + 4 eps (1 + log2 C) times the size of y - t.
        tolerance = np.concatenate([part.dy + m.own * m.residual_size(part) for part in m.blocks(extra=False)])
        ratio = highprecision.errors(r, highprecision.residual(Z, one_hot)) / tolerance
        assert ratio.max() <= 1.0


COMPILED = {name: jax.jit(getattr(reference, name)) for name in reference.__all__ if name.islower() and name != "plain"}


@pytest.mark.slow
@pytest.mark.parametrize("scale", fast([1.0, 40.0], 1))
def test_measured_errors_of_the_textbook_stay_within_theirs(scale, x64):
    """S1, S2, S4, S8: the float64 reference against 50 digits within the tolerances of plain formulas."""
    problem, W, V = make("float64", scale, js.L2(0.3) + js.LogCosh(0.4, 1.5) + js.SelfRegularizer(0.7))
    m = model(W, problem, compensated=False)
    Z = highprecision.logits(W, problem)
    columns = [(c, d) for c in range(C) for d in range(D)]
    exact = {
        "loss": (highprecision.loss(W, problem), "loss"),
        "probabilities": (highprecision.probabilities(Z), "probability"),
        "log_probabilities": (-highprecision.neg_log_probabilities(Z), "log_probability"),
        "gradient": (highprecision.gradient(W, problem), "gradient"),
        "hvp": (highprecision.hvp(W, problem, V), "hvp"),
        "third_derivative": (highprecision.third_derivative(W, problem, V), "third_derivative"),
        "hessian": (highprecision.hessian_columns(W, problem, columns), "hessian"),
    }
    for name, (balls, kind) in exact.items():
        directions = (V,) if name in ("hvp", "third_derivative") else ()
        ours = COMPILED[name](W, problem, *directions)
        tolerance = getattr(tolerances, f"{kind}_tolerance")(W, m, *directions)
        assert (highprecision.errors(ours, balls) / tolerance).max() <= 1.0, name


@pytest.mark.slow_cases("float32")
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_figure_of_the_issue_holds(dtype):
    """S2, S4: error <= eps [(8 + sqrt N) sum|terms| + the propagated logit term gamma_D sum|x w|], written out here.

    With e_n = gamma_D max_c sum_d |x_nd w_cd| a row's probabilities move by at most 2 e_n y relative to first order.
    """
    with scoped(dtype):
        problem, W, _ = make(dtype)
        X, T, s, w = (np.asarray(a).astype(np.float64) for a in (problem.X, problem.T, problem.sample_weight, W))
        eps = float(np.finfo(dtype).eps)
        Z = X @ w.T
        Y = np.exp(Z - Z.max(axis=1, keepdims=True))
        Y /= Y.sum(axis=1, keepdims=True)
        gamma = D * eps / 2
        e = 2 * gamma * (np.abs(X) @ np.abs(w).T).max(axis=1, keepdims=True)
        weight = s[:, None] * (eps * (8 + np.sqrt(N)) * np.maximum(Y, T) + e * Y)
        error = highprecision.errors(js.gradient(W, problem), highprecision.gradient(W, problem))
        assert (error <= weight.T @ np.abs(X)).all()
        # The Hessian's terms are s y_i (delta_ij - y_j) x x', and each y carries the relative error e.
        S = np.abs(np.einsum("ni,ij->nij", Y, np.eye(C)) - np.einsum("ni,nj->nij", Y, Y))
        moved = (eps * (8 + np.sqrt(N)) + 2 * e[:, :, None]) * S
        bound = np.einsum("n,nij,nd,ne->idje", s, moved, np.abs(X), np.abs(X)).reshape(C * D, C * D)
        columns = [(c, d) for c in range(C) for d in range(D)]
        H = js.hessian(W, problem).to_dense()
        assert (highprecision.errors(H, highprecision.hessian_columns(W, problem, columns)) <= bound).all()


def test_logit_errors_propagate_soundly_and_tightly():
    """S1: no |dz| <= delta moves y or -log y further than dy, dlog; some sign pattern reaches half of it."""
    problem, W, _ = make("float32", scale=10.0)
    m = model(W, problem)
    tight_y, tight_log = 0.0, 0.0
    rng = np.random.default_rng(1)
    for rows in m.blocks(extra=False):
        delta = rows.gamma * (np.abs(rows.X) @ np.abs(m.W).T)
        for _ in range(64):
            Z = rows.Z + delta * rng.choice([-1.0, 1.0], size=delta.shape)
            P = np.exp(Z - Z.max(axis=1, keepdims=True))
            P /= P.sum(axis=1, keepdims=True)
            # Float64 rounding of this test's own softmax: a few eps64, nine digits below delta.
            slack = 1e-14
            assert (np.abs(P - rows.Y) <= rows.dy + slack).all()
            logs = -np.log(P)
            assert (np.abs(logs - rows.neg_log) <= rows.dlog + slack * (1 + logs)).all()
            tight_y = max(tight_y, (np.abs(P - rows.Y) / (rows.dy + slack)).max())
            tight_log = max(tight_log, (np.abs(logs - rows.neg_log) / (rows.dlog + slack * (1 + logs))).max())
    assert tight_y > 0.5 and tight_log > 0.5


def test_large_logit_errors_keep_the_tolerance_finite_and_sound():
    """S1: where delta exceeds 1 the first-order formula fails; dy is capped by max(y, 1 - y)."""
    X = np.full((1, 1), 1e9, np.float32)
    problem = js.Problem(np.concatenate([X, -X]), np.eye(2), dtype="float32")
    rows = next(iter(model(np.array([[1.0], [0.0]]) * 1e-3, problem).blocks()))
    assert np.isfinite(rows.dy).all() and (rows.dy <= 1.0 + 1e-30).all()


@pytest.mark.parametrize("gap", [0.5, 30.0, 600.0, 6000.0])
@pytest.mark.parametrize("over", [0.01, 0.9, 1.1, 40.0, 1e6])
def test_logit_errors_of_any_size_propagate_soundly(gap, over):
    """S1: the worst |dz| <= delta, against a probability that underflows and one that rounds to 1; in logarithms.

    Rows of logits (gap, 0, -1) whose delta is `over` beside it: the moved probabilities are within dy and dlog.
    """
    eps = float(np.finfo(np.float32).eps)
    size = over / (2 * eps)  # x = (size, 1), w = (1, -size): the logit cancels, delta = 2 (eps/2) 2 size = 2 over
    W = np.array([[1.0, gap - size], [1.0, -size], [1.0, -1.0 - size]])
    problem = js.Problem(np.float32([[size, 1.0]]), np.eye(3)[:1])
    rows = next(iter(model(W, problem).blocks()))
    delta = rows.gamma * (np.abs(rows.X) @ np.abs(W).T)
    assert delta.max() > over
    for signs in itertools.product([-1.0, 1.0], repeat=3):
        Z = rows.Z + delta * signs
        moved = Z - (Z.max() + np.log(np.exp(Z - Z.max()).sum()))  # log y
        assert (np.abs(np.exp(moved) - np.exp(-rows.neg_log)) <= rows.dy + 1e-14).all()
        assert (np.abs(moved + rows.neg_log) <= rows.dlog + 1e-14 * (1 + np.abs(moved))).all()


def test_tolerances_scale_with_eps_and_see_only_the_terms():
    """S2: halving the digits scales the tolerance by 2^29; a feature that is zero gets a tolerance of (almost) zero."""
    problem, W, _ = make("float32")
    ratio = tolerances.gradient_tolerance(W, problem) / tolerances.gradient_tolerance(W, problem, dtype=np.float64)
    np.testing.assert_allclose(ratio, 2.0**29, rtol=1e-4)
    blank = problem.replace(X=np.asarray(problem.X) * np.array([1, 1, 1, 0, 1], np.float32))
    assert (tolerances.gradient_tolerance(W, blank)[:, 3] <= np.finfo(np.float32).tiny).all()


def test_a_confident_row_has_a_small_tolerance():
    """S2, section 7.3: the tolerance of y - t follows 1 - y, it is not an absolute eps."""
    problem = js.Problem(np.array([[20.0]], np.float32), np.array([[1.0, 0.0]]), dtype="float32")
    tolerance = tolerances.gradient_tolerance(np.array([[1.0], [-1.0]]), problem)
    # The residual is e^-40 = 4e-18, the logit error 2 * 20 * 2^-24 relative to it.
    assert (tolerance < 1e-4 * 20 * np.exp(-40.0)).all()
    plain = tolerances.gradient_tolerance(np.array([[1.0], [-1.0]]), problem, compensated=False)
    assert plain.max() > 1e-7


def test_dense_and_diagonal_tolerances_agree():
    """S4, S21: the diagonal tolerance is the dense one's diagonal, penalties included; the model can be shared."""
    problem, W, V = make("float32", regularizer=js.L2(0.3) + js.LogCosh(0.4, 1.5) + js.SelfRegularizer(0.7))
    dense = tolerances.hessian_tolerance(W, problem)
    np.testing.assert_allclose(tolerances.hessian_diagonal_tolerance(W, problem).ravel(), np.diag(dense), rtol=1e-12)
    np.testing.assert_allclose(dense, dense.T, rtol=1e-12)
    m = model(W, problem)
    assert (tolerances.hvp_tolerance(W, m, V) == tolerances.hvp_tolerance(W, problem, V)).all()
    assert (dense == tolerances.hessian_tolerance(None, m)).all()


def test_blocks_change_nothing(monkeypatch):
    """S2: row blocks are an implementation detail."""
    from jaxsoftmax.evidence.crosscheck import roundoff as _rounding

    problem, W, _ = make("float32", regularizer=js.SelfRegularizer(0.7))
    whole = tolerances.gradient_tolerance(W, problem), tolerances.probability_tolerance(W, problem)
    monkeypatch.setattr(_rounding, "_BLOCK_ENTRIES", 7 * (D + 4 * C))
    monkeypatch.setattr(_rounding, "_KEEP_ENTRIES", 0)
    assert len(list(model(W, problem).blocks())) == 5
    parts = tolerances.gradient_tolerance(W, problem), tolerances.probability_tolerance(W, problem)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_penalties_count_where_they_act():
    """S21a: an L2 term adds eps K alpha |V| to H[V], in the intercept column only when that is penalised."""
    problem, W, V = make("float32")
    bare = tolerances.hvp_tolerance(W, problem, V)
    K = np.finfo(np.float32).eps * tolerances.sum_constant(N, C)
    for whole in (False, True):
        with_l2 = problem.replace(regularizer=js.L2(0.25, penalize_intercept=whole))
        mask = np.array([1.0] * (D - 1) + [float(whole)])
        added = tolerances.hvp_tolerance(W, with_l2, V) - bare
        np.testing.assert_allclose(added, K * 0.25 * mask * np.abs(V), rtol=1e-6, atol=1e-15)


def test_log_cosh_keeps_the_digits_of_a_curvature_that_plain_formulas_lose():
    """S21b: the tolerance of αγ sech² γw is relative to it, with 2 eps |γw| for the logits; the textbook's is not."""
    problem, W, _ = make("float32")
    problem = problem.replace(X=np.zeros((N, D), np.float32), regularizer=js.LogCosh(0.5, 2.0))
    W = np.full_like(W, 10.0)
    exact = 0.5 * 2 * 4 * np.exp(-40.0)
    K, eps = np.finfo(np.float32).eps * tolerances.sum_constant(N, C), np.finfo(np.float32).eps
    ours = tolerances.hessian_diagonal_tolerance(W, problem)[:, 0]
    np.testing.assert_allclose(ours, exact * (K + 2 * eps * 20), rtol=1e-4)
    assert (tolerances.hessian_diagonal_tolerance(W, problem, compensated=False)[:, 0] > 1e-7).all()
    assert (tolerances.hessian_diagonal_tolerance(W, problem)[:, -1] <= np.finfo(np.float32).tiny).all()


def written_out(W, problem, V, U, eps, tiny, compensated):
    """Every tolerance from the docstrings, one row, class and entry after the other; small errors, moderate logits."""
    X, T, s = (np.asarray(a).astype(np.float64) for a in (problem.X, problem.T, problem.sample_weight))
    n_samples, (C, D) = len(X), W.shape
    l2, logcosh, own_samples = problem.regularizer
    X = np.concatenate([X, float(own_samples.gamma) * np.eye(D)])
    T, s = np.concatenate([T, np.full((D, C), 1 / C)]), np.concatenate([s, np.ones(D)])
    sum_constant = lambda n: 8 + n**0.5 + 4 * max(0.0, np.log2(C / 2))  # noqa: E731
    K, K_input, entries = eps * sum_constant(len(X)), eps * sum_constant(C), eps * (8 + (C * D) ** 0.5)
    own = eps * (4 * (1 + np.log2(C)) + (0 if compensated else C))
    rows = {name: [] for name in ("probability", "log_probability", "input_gradient")}
    loss = quadratic = third = tiny
    gradient, hvp, diagonal = (np.full((C, D), tiny) for _ in range(3))
    hessian = np.full((C, D, C, D), tiny)
    for n, (x, t, weight) in enumerate(zip(X, T, s, strict=True)):
        k = np.count_nonzero(x)
        gamma = k * eps / 2 / (1 - k * eps / 2)
        z, u, v = W @ x, U @ x, V @ x
        du, dv = (gamma * (abs(Q) @ abs(x)) for Q in (U, V))
        delta = gamma * (abs(W) @ abs(x)) + (0 if compensated else eps / 2 * (z.max() - z))
        E = delta + delta.max()
        y = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        q = np.array([y.sum() - y[c] for c in range(C)])  # 1 - y, to 1e-16: the smallest here is 1e-2
        dy, dlog = y * q * np.expm1(E) + tiny, np.minimum(E, q * np.expm1(E)) + tiny
        log_size = -np.log(y) if compensated else 2 * abs(z) - np.log(y) + np.log(C)
        residual = np.maximum(y, t)
        if compensated and np.count_nonzero(t) == 1:
            residual = np.where(t > 0, t * q, y)
        top = z.argmax()

        def moments(m, dm, y=y, dy=dy, top=top):
            shifted = m - m[top]
            centred, base = abs(m - y @ m), abs(shifted if compensated else m)
            return centred, base + y @ base, dm + dy @ centred + (y + dy) @ dm

        (a, size_a, da), (b, size_b, db) = moments(v, dv), moments(u, du)
        if n < n_samples:
            rows["probability"].append(dy + own * y)
            rows["log_probability"].append(dlog + own * log_size)
            rows["input_gradient"].append(weight * (dy + max(own, K_input) * residual) @ abs(W) + C * tiny)
        loss += weight * sum(t[c] * (K * log_size[c] + dlog[c]) for c in range(C) if t[c] > 0)
        gradient += weight * np.outer(K * residual + dy, abs(x))
        hvp += weight * np.outer(K * y * size_a + dy * (a + da) + y * da, abs(x))
        quadratic += weight * (K * y * a * size_a + dy * a**2 + 2 * y * a * da + (y + dy) * da**2).sum()
        A, B, wider = a + da, b + db, y + dy
        var, cov = wider @ B**2, wider @ (A * B)
        rounding = K * y * size_a * size_b * (b if compensated else size_b)
        moved = dy * (A * B**2 + A * var + 2 * B * cov) + wider * dv * (B**2 + var)
        third += weight * (rounding + moved + 2 * wider * du * (A * B + cov)).sum()
        for i, j in itertools.product(range(C), repeat=2):
            if i == j:
                pair = K * y[i] * (q[i] if compensated else 1) + dy[i] * (abs(q[i] - y[i]) + dy[i])
            else:
                pair = K * y[i] * y[j] + dy[i] * y[j] + dy[j] * y[i] + dy[i] * dy[j]
            hessian[i, :, j] += weight * pair * np.outer(abs(x), abs(x))
    alpha, beta, g = float(l2.alpha), float(logcosh.alpha), float(logcosh.gamma)
    for c, d in itertools.product(range(C), range(D)):
        free, w = d == D - 1, abs(W[c, d])  # neither penalty takes the intercept
        if free:
            continue
        sech2, tanh, spread = 1 / np.cosh(g * w) ** 2, np.tanh(g * w), np.expm1(2 * eps * g * w)
        loss += entries * (alpha / 2 * w**2 + beta / g * np.log(2 * np.cosh(g * w)))
        gradient[c, d] += K * (alpha * w + (beta * tanh if compensated else beta))

        def curvature(K, sech2=sech2, spread=spread):
            size = sech2 if compensated else 1
            return K * alpha + beta * g * (K * size + spread * sech2 + 4 * tiny)

        hvp[c, d] += curvature(K) * abs(V[c, d])
        hessian[c, d, c, d] += curvature(K)
        quadratic += curvature(entries) * V[c, d] ** 2
        size, limit = 2 * beta * g**2 * tanh * sech2, 2 * beta * g**2
        cubic = entries * (size if compensated else 3 * limit) + spread * size + 4 * limit * tiny
        third += cubic * abs(V[c, d]) * U[c, d] ** 2
    diagonal = np.einsum("cdcd->cd", hessian)
    found = {name: np.array(value) for name, value in rows.items()}
    return found | {
        "loss": loss,
        "gradient": gradient,
        "hvp": hvp,
        "quadratic_form": quadratic,
        "third_derivative": third,
        "hessian": hessian.reshape(C * D, C * D),
        "hessian_diagonal": diagonal,
    }


@pytest.mark.parametrize("compensated", [True, False])
def test_every_tolerance_is_the_formula_of_its_docstring(compensated):
    """S1, S2, S4, S8, S21: all terms, weights and penalties, of both sides, against loops over rows and entries."""
    rng = np.random.default_rng(5)
    X, T = rng.normal(size=(4, D - 1)), np.concatenate([np.eye(C)[:2], rng.dirichlet(np.ones(C), size=2)])
    X[:2, 0] = 0.0
    penalties = js.L2(0.3) + js.LogCosh(0.4, 1.5) + js.SelfRegularizer(0.7)
    problem = js.Problem(X, T, intercept=True, sample_weight=[0.2, 3.0, 1.0, 0.5], regularizer=penalties)
    # Of a coarse precision, where terms of second order and the smallest normal show beside the rest.
    eps, tiny = float(np.finfo(np.float16).eps), float(np.finfo(np.float16).tiny)
    W, V, U = rng.normal(size=(3, C, D)) / 2
    m = model(W, problem, np.float16, compensated)
    directions = {"hvp": (V,), "quadratic_form": (V,), "third_derivative": (V, U)}
    for name, expected in written_out(W, problem, V, U, eps, tiny, compensated).items():
        found = getattr(tolerances, f"{name}_tolerance")(W, m, *directions.get(name, ()))
        # Sums of some hundred nonnegative float64 terms; 1 - y costs 1e-16 of 1e-2.
        np.testing.assert_allclose(found, expected, rtol=1e-12, err_msg=name)
