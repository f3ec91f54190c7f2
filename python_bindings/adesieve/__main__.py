# SPDX-License-Identifier: Apache-2.0
"""``python -m adesieve``: the command ``adesieve``."""

import sys

from .command import main

if __name__ == "__main__":
    sys.exit(main())
