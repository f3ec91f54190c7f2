#!/usr/bin/env python3
"""Writes activation_fits.h: Phi, the normal distribution (GELU) or its approximation by tanh, for activation_vec.h.

Tables   Phi(-a) in 16 pieces, as many as an AVX-512 register has floats: piece n is a polynomial of r = a scale - n on
         [-1/2, 1/2], the last one is 0. gelu(x) = max(x, 0) - |x| Phi(-|x|).
Odd      Phi(x) = 1/2 + x P(x^2), for results that are rounded afterwards, on processors without such a register. At the
         last x it is 1 or a little more, so that cutting it off at 1 makes gelu exact from there on.

All are minimax by Lawson's method: least squares whose weights grow where the error is largest. Needs numpy.

    fit_activation.py >activation_fits.h
"""

import textwrap
from collections.abc import Callable
from math import erf, erfc, exp, pi, sqrt, tanh

import numpy as np

PIECES, ROUNDS, POINTS = 16, 200, 400


def normal(a: float) -> float:
    """Returns Phi(-a)."""
    return erfc(a / sqrt(2)) / 2


def by_tanh(a: float) -> float:
    """Returns (1 - tanh(u)) / 2 of Google's u(a), in a way that does not cancel."""
    return 1 / (1 + exp(2 * sqrt(2 / pi) * (a + 0.044715 * a**3)))


def minimax(matrix: np.ndarray, f: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns c with the smallest largest |matrix c - f| scale."""
    weight, best_error, best = np.ones_like(f), np.inf, np.zeros(matrix.shape[1])
    for _ in range(ROUNDS):
        root = np.sqrt(weight) * scale
        c, *_ = np.linalg.lstsq(matrix * root[:, None], f * root, rcond=None)
        error = np.abs(matrix @ c - f) * scale
        if error.max() < best_error:
            best_error, best = error.max(), c.copy()
        weight *= (error / error.max() + 1e-3) ** 0.7
        weight /= weight.sum()
    return best


def piece(function: Callable[[float], float], n: int, scale: float, degree: int) -> np.ndarray:
    """Returns the coefficients of the powers of r, constant term first."""
    low, high, centre = max(n - 0.5, 0) / scale, (n + 0.5) / scale, n / scale
    a = (low + high) / 2 + (high - low) / 2 * np.cos(np.linspace(0, pi, POINTS))
    f = np.array([function(value) for value in a])
    matrix = ((a - centre) * scale)[:, None] ** np.arange(degree + 1)
    return minimax(matrix, f, np.ones_like(a))


def gelu_by_table(x: np.ndarray, scale: np.float32, table: np.ndarray) -> np.ndarray:
    """Returns what the kernel computes, but for the fused operations."""
    a = np.minimum(np.abs(x), np.float32(15) / scale)
    n = np.rint(a * scale)
    r = a * scale - n
    p = np.zeros_like(a)
    for row in table[::-1]:
        p = p * r + row[n.astype(int)]
    return np.maximum(x, np.float32(0)) - a * p


def print_array(name: str, rows: np.ndarray) -> None:
    """Prints rows of floats in C."""
    print(f"static const float ade__{name.lower()}{''.join(f'[{n}]' for n in rows.shape)} = {{")
    for row in np.atleast_2d(rows):
        text = ", ".join(f"{value:.9g}".replace("0", "0.0") + "f" if value == 0 else f"{value:#.9g}f" for value in row)
        text = "{" + text + "}," if rows.ndim > 1 else text
        print(textwrap.fill(text, 116, initial_indent="    ", subsequent_indent=" " * (3 + rows.ndim)))
    print("};")


def relative_error(x: np.ndarray, y: np.ndarray, function: Callable[[float], float]) -> float:
    """Returns gelu's largest |error| / max(1, |x|)."""
    exact = np.array([float(v) * (1 - function(float(v))) if v > 0 else float(v) * function(-float(v)) for v in x])
    return float((np.abs(y - exact) / np.maximum(1, np.abs(x))).max())


def write_table(name: str, function: Callable[[float], float], degree: int, limit: float) -> None:
    """Prints one table; beyond `limit` Phi(-a) is taken for 0."""
    scale = np.float32((PIECES - 1.5) / limit)
    table = np.zeros((degree + 1, PIECES), np.float32)
    for n in range(PIECES - 1):
        table[:, n] = piece(function, n, float(scale), degree)
    x = np.linspace(-8, 8, 400001).astype(np.float32)
    error = relative_error(x, gelu_by_table(x, scale, table), function)
    print(f"\n/* Largest error of gelu, relative to max(1, |x|): {error:.2g}. */")
    print(f"#define ADE_{name}_DEGREE {degree}")
    print(f"#define ADE_{name}_SCALE {scale!s}f")
    print_array(name, table)


def write_odd(name: str, function: Callable[[float], float], degree: int, limit: float) -> None:
    """Prints P; beyond `limit` Phi is taken for 1."""
    x = limit * np.sin(np.linspace(0, pi / 2, 3001)[1:])
    f = np.array([0.5 - function(value) for value in x])
    f[-1] = 0.5 * (1 + 4e-7)
    scale = np.minimum(x, 1)
    scale[-1] = 1e4
    c = minimax(x[:, None] * ((x / limit) ** 2)[:, None] ** np.arange(degree + 1), f, scale)
    c = (c / limit ** (2 * np.arange(degree + 1))).astype(np.float32)
    x = np.linspace(-8, 8, 400001).astype(np.float32)
    t, p = np.minimum(x * x, np.float32(limit * limit)), np.zeros_like(x)
    for value in c[::-1]:
        p = p * t + value
    y = x * (np.clip(x * p, np.float32(-0.5), np.float32(0.5)) + np.float32(0.5))
    assert y[0] == 0 and y[-1] == x[-1]
    print(f"\n/* Largest error of gelu, relative to max(1, |x|): {relative_error(x, y, function):.2g}. */")
    print(f"#define ADE_{name}_LIMIT {np.float32(limit * limit)!s}f /* of x^2 */")
    print_array(name, c)


def main() -> None:
    """Prints the header."""
    assert abs(normal(1) - (1 - erf(1 / sqrt(2))) / 2) < 1e-15
    assert abs(by_tanh(1) - (1 - tanh(sqrt(2 / pi) * 1.044715)) / 2) < 1e-15
    print("/* SPDX-License-Identifier: Apache-2.0")
    print(" * Written by fit_activation.py, which says what it is. For activation_vec.h. */")
    print("#ifndef ADE_ACTIVATION_FITS_H\n#define ADE_ACTIVATION_FITS_H")
    print("\n#if ADE_LANES == 16")
    write_table("GELU_ERF", normal, 4, 5.15)
    write_table("GELU_ERF_ROUGH", normal, 2, 3.9)
    write_table("GELU_TANH", by_tanh, 4, 4.9)
    write_table("GELU_TANH_ROUGH", by_tanh, 2, 3.75)
    print("\n#else")
    write_odd("GELU_ERF_ROUGH", normal, 7, 4.0)
    write_odd("GELU_TANH_ROUGH", by_tanh, 7, 3.95)
    print("\n#endif")
    print("\n#endif")


if __name__ == "__main__":
    main()
