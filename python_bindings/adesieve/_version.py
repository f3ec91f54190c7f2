# SPDX-License-Identifier: Apache-2.0
"""The package's version: the same as in include/adesieve.h (a test compares them)."""

__version__ = "0.1.0"
