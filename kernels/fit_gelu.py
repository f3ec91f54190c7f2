#!/usr/bin/env python3
"""Fits log2(Phi(-a)) on [0, 6] by a polynomial of a, Phi the normal distribution, for activation_cuda.cu.

The constant term is log2(Phi(0)) = -1, so that gelu(x) is x / 2 near 0. The others are minimax by Lawson's method:
least squares whose weights grow where the error is largest. The error is that of gelu(x) = max(x, 0) - |x| Phi(-|x|) in
units of the last place that f16 has for it, the worse of x = a and x = -a. Needs numpy; prints the largest error, the
largest |x| Phi(-|x|) beyond the fit (the kernel does not clamp), and the coefficients, constant term first.
"""

from math import erfc, log, log2, sqrt

import numpy as np

LIMIT, DEGREE, ROUNDS = 6.0, 7, 500


def phi(x: float) -> float:
    """Returns the normal distribution's integral up to x."""
    return erfc(-x / sqrt(2)) / 2


def unit_f16(y: np.ndarray) -> np.ndarray:
    """Returns the distance of f16 numbers around y."""
    return 2.0 ** (np.floor(np.log2(np.maximum(np.abs(y), 2.0**-14))) - 10)


def main() -> None:
    """Prints the fit."""
    a = np.sort(np.clip(LIMIT / 2 * (1 + np.cos(np.linspace(0, np.pi, 4001))), 1e-4, LIMIT))
    tail = np.array([phi(-value) for value in a])
    f = np.array([log2(value) + 1 for value in tail])
    error_in_y = a * tail * log(2)  # per error in f
    scale = np.maximum(error_in_y / unit_f16(a * tail), error_in_y / unit_f16(a * (1 - tail)))
    matrix = (a / LIMIT)[:, None] ** np.arange(1, DEGREE + 1)
    weight = np.ones_like(a)
    best_error, best = np.inf, None
    for _ in range(ROUNDS):
        root = np.sqrt(weight) * scale
        c, *_ = np.linalg.lstsq(matrix * root[:, None], f * root, rcond=None)
        error = np.abs(matrix @ c - f) * scale
        if error.max() < best_error:
            best_error, best = error.max(), c.copy()
        weight *= (error / error.max() + 1e-3) ** 0.7
        weight /= weight.sum()
    assert best is not None
    coefficients = [-1.0] + [float(np.float32(best[i - 1] / LIMIT**i)) for i in range(1, DEGREE + 1)]
    far = np.linspace(LIMIT, 1000, 1_000_001)
    beyond = far * 2.0 ** np.minimum(np.polynomial.polynomial.polyval(far, coefficients), 0)
    print(f"largest error {best_error:.3g} units of f16, {np.abs((matrix @ best - f) * error_in_y).max():.3g} absolute")
    print(f"beyond {LIMIT} at most {beyond.max():.3g}")
    print(coefficients)


if __name__ == "__main__":
    main()
