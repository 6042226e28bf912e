"""Solvers with derivatives of their own: jaxopt, lineax, optimistix, diffrax."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from helpers.foreign.case import case, definite, normal, regular

A3, B3 = regular(3), normal(3)


def jaxopt_case(name, load, *points, **options):
    """A case of jaxopt; `load` takes the module."""

    def fun():
        import jaxopt

        return load(jaxopt)

    return case(f"jaxopt.{name}", fun, *points, library="jaxopt", **options)


def lineax_case(name, solver, structure, *points, **options):
    """The solution of a linear system by lineax; the solver and the operator come from functions of the module."""

    def fun():
        import lineax

        return lambda a, b: (
            lineax.linear_solve(structure(lineax, a), b, solver(lineax, tolerance(a)), throw=False).value
        )

    return case(f"lineax.linear_solve, {name}", fun, *points, library="lineax", **options)


def optimistix_case(name, load, *points, **options):
    """A case of optimistix; `load` takes the module."""

    def fun():
        import optimistix

        return load(optimistix)

    return case(f"optimistix.{name}", fun, *points, library="optimistix", **options)


def diffrax_case(name, adjoint, *points, solver="Tsit5", **options):
    """The end of an orbit of a damped pendulum by diffrax, with sixteen steps of one length."""

    def fun():
        import diffrax
        import optimistix

        def end(start, damping):
            tol = tolerance(start)
            implicit = {"root_finder": optimistix.Newton(rtol=tol, atol=tol)} if solver == "Kvaerno3" else {}

            def field(t, y, args):
                return jnp.stack([y[1], -jnp.sin(y[0]) - args * y[1]])

            return diffrax.diffeqsolve(
                diffrax.ODETerm(field),
                getattr(diffrax, solver)(**implicit),
                t0=0.0,
                t1=1.0,
                dt0=0.0625,
                y0=start,
                args=damping,
                adjoint=getattr(diffrax, adjoint)(),
                max_steps=32,
            ).ys[-1]

        return end

    return case(f"diffrax.diffeqsolve, {name}", fun, *points, library="diffrax", **options)


def ridge(w, strength, x, y):
    """The loss of a ridge regression."""
    return 0.5 * jnp.sum((x @ w - y) ** 2) + 0.5 * strength * jnp.sum(w * w)


def tolerance(a):
    """What is asked of a solver: about eight roundings of the dtype of an array in float32, more in float64."""
    return 1e-6 if a.dtype == jnp.float32 else 1e-12


def dense(lx, a):
    """The operator of a matrix without structure."""
    return lx.MatrixLinearOperator(a)


def positive(lx, a):
    """The operator of the symmetric part of a matrix."""
    return lx.MatrixLinearOperator((a + a.T) / 2, lx.positive_semidefinite_tag)


DATA = (normal(5, 2), normal(5))

CASES = [
    jaxopt_case(
        "projection.projection_simplex", lambda jo: jo.projection.projection_simplex, [0.9, 0.1, -0.7, 0.5], vector=True
    ),
    jaxopt_case("projection.projection_l1_ball", lambda jo: jo.projection.projection_l1_ball, [0.9, -0.6, 0.05, 1.3]),
    jaxopt_case(
        "projection.projection_l2_ball", lambda jo: jo.projection.projection_l2_ball, [0.9, -0.6, 1.3], vector=True
    ),
    jaxopt_case("projection.projection_l2_sphere", lambda jo: jo.projection.projection_l2_sphere, [0.9, -0.6, 1.3]),
    jaxopt_case(
        "projection.projection_hyperplane",
        lambda jo: lambda x, a, b: jo.projection.projection_hyperplane(x, (a, b)),
        B3,
        [1.0, 2.0, 0.5],
        0.5,
    ),
    jaxopt_case(
        "projection.projection_halfspace",
        lambda jo: lambda x, a: jo.projection.projection_halfspace(x, (a, 0.5)),
        [1.0, 0.7, 2.0],
        [1.0, 2.0, 0.5],
    ),
    jaxopt_case(
        "projection.projection_box_section",
        lambda jo: (
            lambda x, w: jo.projection.projection_box_section(
                x, (jnp.zeros_like(x), jnp.ones_like(x), w, jnp.asarray(1.25, x.dtype))
            )
        ),
        [0.6, 0.3, 0.9],
        args=([1.0, 1.0, 1.0],),
    ),
    jaxopt_case(
        "projection.projection_transport",
        lambda jo: lambda x, a, b: jo.projection.kl_projection_transport(x, (a, b)),
        normal(2, 2),
        args=([0.4, 0.6], [0.5, 0.5]),
    ),
    jaxopt_case(
        "prox.prox_lasso",
        lambda jo: lambda x, s: jo.prox.prox_lasso(x, s),
        [0.9, -1.6, 0.2],
        [0.5, 0.25, 0.75],
        vector=True,
    ),
    jaxopt_case(
        "prox.prox_elastic_net", lambda jo: lambda x: jo.prox.prox_elastic_net(x, (0.5, 0.25)), [0.9, -1.6, 0.2]
    ),
    jaxopt_case(
        "prox.prox_group_lasso",
        lambda jo: lambda x, s: jo.prox.prox_group_lasso(x, s),
        [0.9, -1.6, 0.2],
        0.5,
        vector=True,
    ),
    jaxopt_case("prox.prox_ridge", lambda jo: lambda x, s: jo.prox.prox_ridge(x, s), [0.9, -1.6, 0.2], 0.5),
    jaxopt_case(
        "loss.multiclass_logistic_loss",
        lambda jo: lambda z, t: jo.loss.multiclass_logistic_loss(t, z),
        normal(4),
        args=(2,),
    ),
    jaxopt_case(
        "loss.multiclass_sparsemax_loss",
        lambda jo: lambda z, t: jo.loss.multiclass_sparsemax_loss(t, z),
        normal(4),
        args=(2,),
    ),
    jaxopt_case(
        "loss.binary_logistic_loss",
        lambda jo: lambda z: jo.loss.binary_logistic_loss(jnp.array([0, 1, 1]), z),
        [-2.0, 0.5, 3.0],
    ),
    jaxopt_case("loss.huber_loss", lambda jo: lambda z: jo.loss.huber_loss(0.5, z), [-2.0, 0.7, 3.0]),
    jaxopt_case(
        "isotonic.isotonic_l2_pav",
        lambda jo: lambda y: jo.isotonic.isotonic_l2_pav(y),
        [0.5, 1.7, 1.2, -0.4],
        vector=True,
        fault="its rule divides by (size of the block + 1e-8): 0.99999999 where 1 is right. jaxopt 0.8.5",
    ),
    jaxopt_case(
        "GradientDescent, implicit",
        lambda jo: (
            lambda s, x, y: (
                jo.GradientDescent(ridge, maxiter=500, tol=tolerance(x), implicit_diff=True)
                .run(jnp.zeros(2, x.dtype), s, x, y)
                .params
            )
        ),
        0.7,
        args=DATA,
        vector=True,
    ),
    jaxopt_case(
        "LBFGS, implicit",
        lambda jo: (
            lambda s, x, y: (
                jo.LBFGS(ridge, maxiter=50, tol=tolerance(x), implicit_diff=True)
                .run(jnp.zeros(2, x.dtype), s, x, y)
                .params
            )
        ),
        0.7,
        args=DATA,
    ),
    jaxopt_case(
        "FixedPointIteration, implicit",
        lambda jo: (
            lambda a: (
                jo.FixedPointIteration(lambda x, a: jnp.cos(a * x), maxiter=300, tol=tolerance(a), implicit_diff=True)
                .run(jnp.zeros_like(a), a)
                .params
            )
        ),
        [0.7, 0.4],
    ),
    jaxopt_case(
        "Bisection, implicit",
        lambda jo: (
            lambda a: (
                jo.Bisection(
                    lambda x, a: x**3 + x - a, lower=0.0, upper=3.0, maxiter=60, tol=tolerance(a), check_bracket=False
                )
                .run(None, a)
                .params
            )
        ),
        2.5,
    ),
    jaxopt_case(
        "ProximalGradient, implicit",
        lambda jo: (
            lambda s, x, y: (
                jo.ProximalGradient(
                    lambda w, x, y: 0.5 * jnp.sum((x @ w - y) ** 2),
                    prox=jo.prox.prox_lasso,
                    maxiter=500,
                    tol=tolerance(x),
                )
                .run(jnp.zeros(2, x.dtype), s, x=x, y=y)
                .params
            )
        ),
        0.05,
        args=DATA,
    ),
    jaxopt_case(
        "linear_solve.solve_cg",
        lambda jo: lambda a, b: jo.linear_solve.solve_cg(lambda v: (a + a.T) @ v / 2, b),
        definite(3),
        B3,
    ),
    jaxopt_case(
        "implicit_diff.custom_root",
        lambda jo: (
            lambda s, x, y: jo.implicit_diff.custom_root(jax.grad(ridge))(
                lambda w, s, x, y: jnp.linalg.solve(x.T @ x + s * jnp.eye(2, dtype=x.dtype), x.T @ y)
            )(None, s, x, y)
        ),
        0.7,
        args=DATA,
        vector=True,
    ),
    lineax_case("AutoLinearSolver", lambda lx, tol: lx.AutoLinearSolver(well_posed=True), dense, A3, B3, vector=True),
    lineax_case("LU", lambda lx, tol: lx.LU(), dense, A3, B3),
    lineax_case("QR, least squares", lambda lx, tol: lx.QR(), dense, normal(4, 2), normal(4)),
    lineax_case("SVD", lambda lx, tol: lx.SVD(), dense, A3, B3, vector=True),
    lineax_case("Cholesky", lambda lx, tol: lx.Cholesky(), positive, definite(3), B3),
    lineax_case("CG", lambda lx, tol: lx.CG(rtol=tol, atol=tol), positive, definite(3), B3),
    lineax_case("GMRES", lambda lx, tol: lx.GMRES(rtol=tol, atol=tol), dense, A3, B3),
    lineax_case(
        "Triangular",
        lambda lx, tol: lx.Triangular(),
        lambda lx, a: lx.MatrixLinearOperator(jnp.tril(a), lx.lower_triangular_tag),
        A3,
        B3,
    ),
    lineax_case(
        "Tridiagonal",
        lambda lx, tol: lx.Tridiagonal(),
        lambda lx, a: lx.TridiagonalLinearOperator(a[0], a[1, :2], a[2, :2]),
        [[3.0, 4.0, 5.0], [1.0, 0.5, 0.0], [-0.7, 0.2, 0.0]],
        B3,
    ),
    lineax_case(
        "Diagonal",
        lambda lx, tol: lx.Diagonal(),
        lambda lx, a: lx.DiagonalLinearOperator(a),
        [1.5, -2.0, 0.7],
        B3,
        vector=True,
    ),
    lineax_case(
        "a Jacobian as operator",
        lambda lx, tol: lx.LU(),
        lambda lx, a: lx.JacobianLinearOperator(lambda y, _: jnp.tanh(y) * a + y, jnp.full(3, 0.25, a.dtype)),
        B3,
        B3,
    ),
    optimistix_case(
        "root_find, Newton",
        lambda ox: (
            lambda a: (
                ox.root_find(
                    lambda y, a: y**3 + y - a, ox.Newton(rtol=tolerance(a), atol=tolerance(a)), jnp.ones_like(a), a
                ).value
            )
        ),
        [2.5, 0.7],
        vector=True,
    ),
    optimistix_case(
        "root_find, Chord",
        lambda ox: (
            lambda a: (
                ox.root_find(
                    lambda y, a: y**3 + y - a, ox.Chord(rtol=tolerance(a), atol=tolerance(a)), jnp.ones_like(a), a
                ).value
            )
        ),
        2.5,
    ),
    optimistix_case(
        "root_find, Bisection",
        lambda ox: (
            lambda a: (
                ox.root_find(
                    lambda y, a: y**3 + y - a,
                    ox.Bisection(rtol=tolerance(a), atol=tolerance(a)),
                    jnp.ones_like(a),
                    a,
                    options={"lower": 0.0, "upper": 3.0},
                ).value
            )
        ),
        2.5,
    ),
    optimistix_case(
        "fixed_point",
        lambda ox: (
            lambda a: (
                ox.fixed_point(
                    lambda y, a: jnp.cos(a * y),
                    ox.FixedPointIteration(rtol=tolerance(a), atol=tolerance(a)),
                    jnp.zeros_like(a),
                    a,
                ).value
            )
        ),
        [0.7, 0.4],
        vector=True,
    ),
    optimistix_case(
        "least_squares, LevenbergMarquardt",
        lambda ox: (
            lambda y, t: (
                ox.least_squares(
                    lambda p, _: p[0] * jnp.exp(-p[1] * t) - y,
                    ox.LevenbergMarquardt(rtol=tolerance(t), atol=tolerance(t)),
                    jnp.ones(2, t.dtype),
                ).value
            )
        ),
        [1.9, 1.3, 0.8, 0.5],
        args=([0.0, 0.5, 1.0, 1.5],),
    ),
    optimistix_case(
        "minimise, BFGS",
        lambda ox: (
            lambda s, x, y: (
                ox.minimise(
                    lambda w, _: ridge(w, s, x, y), ox.BFGS(rtol=tolerance(x), atol=tolerance(x)), jnp.zeros(2, x.dtype)
                ).value
            )
        ),
        0.7,
        args=DATA,
    ),
    diffrax_case("Tsit5, checkpointed", "RecursiveCheckpointAdjoint", [0.7, -0.3], 0.25, vector=True),
    diffrax_case("Tsit5, direct", "DirectAdjoint", [0.7, -0.3], 0.25),
    diffrax_case("Heun, checkpointed", "RecursiveCheckpointAdjoint", [0.7, -0.3], 0.25, solver="Heun"),
    diffrax_case(
        "Dopri5, backsolve",
        "BacksolveAdjoint",
        [0.7, -0.3],
        0.25,
        solver="Dopri5",
        note="the adjoint equation is solved anew: right to the order of the method only",
    ),
    diffrax_case("Kvaerno3, implicit steps", "RecursiveCheckpointAdjoint", [0.7, -0.3], 0.25, solver="Kvaerno3"),
]
