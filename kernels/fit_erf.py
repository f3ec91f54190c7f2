#!/usr/bin/env python3
"""Fits erf(x) = x P(x^2) / Q(x^2) on [0, 4], P of degree 6 and Q of degree 4, for activation_vec.h.

Minimax by Lawson's method: weighted least squares on the linearised problem, whose weights grow where the error is
largest. Needs numpy; prints the largest error and the coefficients, constant term first.
"""

from math import erf

import numpy as np

LIMIT, P_DEGREE, Q_DEGREE, ROUNDS = 4.0, 6, 4, 400


def main() -> None:
    """Prints the fit."""
    x = np.sort(np.clip(LIMIT / 2 * (1 + np.cos(np.linspace(0, np.pi, 4001))), 1e-6, LIMIT))
    u = x * x / LIMIT**2  # in [0, 1], for conditioning
    f = np.array([erf(value) for value in x])
    weight, q = np.ones_like(x), np.ones_like(x)
    best_error, best = np.inf, None
    for _ in range(ROUNDS):
        matrix = np.concatenate(
            [x[:, None] * u[:, None] ** np.arange(P_DEGREE + 1), -f[:, None] * u[:, None] ** np.arange(1, Q_DEGREE + 1)],
            axis=1,
        )
        scale = np.sqrt(weight) / np.abs(q)
        c, *_ = np.linalg.lstsq(matrix * scale[:, None], f * scale, rcond=None)
        p = sum(c[i] * u**i for i in range(P_DEGREE + 1))
        q = 1 + sum(c[P_DEGREE + i] * u**i for i in range(1, Q_DEGREE + 1))
        error = np.abs(x * p / q - f)
        if error.max() < best_error:
            best_error, best = error.max(), c.copy()
        weight *= (error / error.max() + 1e-3) ** 0.7
        weight /= weight.sum()
    assert best is not None
    print(f"largest error {best_error:.3g}")
    print("P", [float(best[i] / LIMIT ** (2 * i)) for i in range(P_DEGREE + 1)])
    print("Q", [1.0] + [float(best[P_DEGREE + i] / LIMIT ** (2 * i)) for i in range(1, Q_DEGREE + 1)])


if __name__ == "__main__":
    main()
