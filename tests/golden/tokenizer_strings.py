# SPDX-License-Identifier: Apache-2.0
"""Random texts that go where tokenizers go wrong: table edges, combining marks, CJK, specials, odd spaces."""

RANGES = [
    (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0x00, 0x1F), (0x7F, 0xFF), (0x100, 0x24F), (0x250, 0x2FF),
    (0x300, 0x36F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x591, 0x5F4), (0x600, 0x6FF), (0x8D3, 0x902),
    (0x900, 0xDFF), (0xE00, 0xFFF), (0x1100, 0x11FF), (0x1AB0, 0x1ACE), (0x1C80, 0x1CFF), (0x1DC0, 0x1DFF),
    (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x218F), (0x2190, 0x22FF), (0x20D0, 0x20F0), (0x2C00, 0x2E7F),
    (0x3000, 0x30FF), (0x302A, 0x3030), (0x4E00, 0x4EFF), (0xA640, 0xA8FF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF),
    (0xFB00, 0xFDFF), (0xFE00, 0xFEFF), (0xFF00, 0xFFFF), (0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x16A00, 0x16FFF),
    (0x1BC00, 0x1BCFF), (0x1D100, 0x1D24F), (0x1D400, 0x1D7FF), (0x1E000, 0x1E9FF), (0x1F000, 0x1FAFF),
    (0x20000, 0x2FFFF), (0xE0000, 0xE01FF), (0xF0000, 0x10FFFF),
]  # fmt: skip
WORDS = (
    "the patient developed hepatotoxicity after 5-fluorouracil (5-FU) Stevens-Johnson TNF-α IL‐6 10°C p<.05 µg/ml naïve "
    "Sjögren İstanbul ΟΔΟΣ CO₂ drug® [SEP] [MASK] [UNK] [CLS] [PAD] [sep] [SE P] unaffable İ ẞ ﬁ Å Ω K e\u0301a q\u0323\u0307 "
    "\u0344 \u0f73 \u0f75\u0f71 \U0001d15e \U0001d160\U0001d16d \u0958 \u3099\u309a \uac00\uac01 가 각 中文 \u2b820 \u200b \u00ad \ufeff "
    "don't U.S. 3.14 e.g. ing able ##ing \u0301 \u302e\u0301 a\u0315\u0300\u05ae\u0327b \ufb2c"
).split(" ")
SPACES = [" "] * 12 + ["\t", "\n", "\r\n", "\xa0", "\u2009", "\u3000", "\u2028", "\x85", "\x0b", "\x1c", "  ", ""]


def random_scalar(rng):
    low, high = rng.choice(RANGES)
    c = rng.choice([low, high, rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)])
    return chr(c)


def random_text(rng):
    """A text of up to some 60 characters."""
    parts = []
    for _ in range(rng.choice([1, 2, 3, 5, 8])):
        kind = rng.random()
        if kind < 0.35:
            parts.append(rng.choice(WORDS))
        elif kind < 0.55:
            parts.append("".join(random_scalar(rng) for _ in range(rng.randint(1, 6))))
        elif kind < 0.7:  # letters with marks
            for _ in range(rng.randint(1, 4)):
                parts.append(rng.choice("aeiouAEIOUnéåαΑ가"))
                marks = [random_mark(rng) for _ in range(rng.randint(0, 6))]
                parts.append("".join(marks))
        elif kind < 0.85:
            word = rng.choice(WORDS)
            at = rng.randrange(len(word) + 1)
            parts.append(word[:at] + random_scalar(rng) + word[at:])
        else:
            length = rng.choice([1, 3, 8, 14, 15, 16, 17, 30, 99, 100, 101, 120])
            parts.append("".join(rng.choice("abcdefgABCDEFGing") for _ in range(length)))
        parts.append(rng.choice(SPACES))
    return "".join(parts)


def random_mark(rng):
    return chr(rng.choice([
        rng.randint(0x300, 0x36F), rng.randint(0x591, 0x5BD), rng.randint(0x610, 0x61A), rng.randint(0x64B, 0x65F),
        rng.randint(0x8D3, 0x8FF), rng.randint(0xF71, 0xF84), rng.randint(0x1DC0, 0x1DFF), rng.randint(0x302A, 0x302F),
        rng.randint(0x1D165, 0x1D172), rng.randint(0x1AB0, 0x1ACE), rng.randint(0x20D0, 0x20F0), 0x3099, 0x94D, 0x9BC,
        rng.randint(0x1E000, 0x1E02A), rng.randint(0x1E8D0, 0x1E8D6), rng.randint(0x1E944, 0x1E94A), 0x16FF0, 0x16FF1,
    ]))  # fmt: skip
