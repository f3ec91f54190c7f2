#!/usr/bin/env python3
"""Fits 2^r on [-1/2, 1/2] by polynomials 1 + r P(r), for attention_cpu.c and activation_vec.h.

The constant term is exactly 1, so that the largest score of a softmax weighs exactly 1. Minimax in the relative error by
Lawson's method: least squares whose weights grow where the error is largest. Needs numpy; prints for each degree the
largest relative error and the coefficients, constant term first.
"""

import numpy as np

DEGREES, ROUNDS = (2, 3, 4, 5, 6), 500


def fit(degree: int) -> tuple[float, list[float]]:
    """Returns the largest relative error and the coefficients."""
    r = np.cos(np.linspace(0, np.pi, 4000)) / 2  # an even number: no point is 0
    f = 2.0**r
    matrix = r[:, None] ** np.arange(1, degree + 1) / f[:, None]
    target = (f - 1) / f
    weight = np.ones_like(r)
    best_error, best = np.inf, np.zeros(degree)
    for _ in range(ROUNDS):
        root = np.sqrt(weight)
        c, *_ = np.linalg.lstsq(matrix * root[:, None], target * root, rcond=None)
        error = np.abs(matrix @ c - target)
        if error.max() < best_error:
            best_error, best = error.max(), c.copy()
        weight *= (error / error.max() + 1e-3) ** 0.7
        weight /= weight.sum()
    return best_error, [1.0] + [float(np.float32(value)) for value in best]


def main() -> None:
    """Prints the fits."""
    for degree in DEGREES:
        error, coefficients = fit(degree)
        print(f"degree {degree}: largest relative error {error:.3g}")
        print(coefficients)


if __name__ == "__main__":
    main()
