/* SPDX-License-Identifier: Apache-2.0
 * One arm of scan.c, which includes this with ARM (suffix of names), TARGET (attributes) and these two defined before:
 * classify_ARM() and positions_ARM(). */

#define PASTE_(a, b) a##_##b
#define PASTE(a, b)  PASTE_(a, b)

TARGET static void PASTE(scan, ARM)(const ade__scan_classes *classes, const unsigned char *text, size_t size,
                                    ade__window *out) {
    uint64_t last_stretch = 0, last_punctuation = 0, any_first = 0, any_complex = 0, any_other = 0;
    size_t   n_starts = 0, n_ends = 0, at = 0, block = 0;
    for (; at < size; at += 64, block++) {
        block_masks m;
        uint64_t    valid = size - at < 64 ? ~UINT64_C(0) >> (64 - (size - at)) : ~UINT64_C(0);
        PASTE(classify, ARM)(classes, text + at, size - at < 64 ? size - at : 64, out->bytes + at, &m);
        uint64_t stretch = (m.stretch | m.other) & valid, punctuation = m.punctuation & ~m.other & valid;
        uint64_t complex = (m.complex | m.other) & valid;
        uint64_t stretch_before = stretch << 1 | last_stretch;
        any_first |= m.first & ~m.other & valid;
        any_complex |= complex;
        any_other |= m.other;
        out->complex[block] = complex;
        n_starts = PASTE(positions, ARM)((stretch & ~stretch_before) | punctuation, at, out->starts, n_starts);
        n_ends = PASTE(positions, ARM)((~stretch & stretch_before) | punctuation << 1 | last_punctuation, at,
                                       out->ends, n_ends);
        last_stretch = stretch >> 63;
        last_punctuation = punctuation >> 63;
    }
    out->complex[block] = 0;
    out->ends[n_ends] = (uint16_t)size; /* of a unit that ends with the last full block */
    out->n_units = n_starts;
    out->open = n_starts && out->ends[n_starts - 1] == size && last_stretch_is_open(classes, text[size - 1]);
    out->any_first = any_first || (any_other && classes->other_first);
    out->any_complex = any_complex != 0;
    out->any_other = any_other != 0;
}

#undef PASTE
#undef PASTE_
#undef ARM
#undef TARGET
