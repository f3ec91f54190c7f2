/* SPDX-License-Identifier: Apache-2.0
 * The attributes of one tag, as places in it, and whether two have the same name. */
#ifndef ADE_XML_ATTRIBUTES_H
#define ADE_XML_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ADE_XML_FEW 16 /* attributes, up to which all pairs of names are compared */

/* Offsets from the '<' of the tag. */
typedef struct ade_xml_span {
    uint32_t name, name_size, value, value_size;
    bool     plain; /* the value stands in the tag as it is to be given */
} ade_xml_span;

static inline bool ade__xml_same_name(const char *tag, const ade_xml_span *a, const ade_xml_span *b) {
    return a->name_size == b->name_size && !memcmp(tag + a->name, tag + b->name, a->name_size);
}

/* By name, then by place. */
static inline int ade__xml_compare_spans(const char *tag, const ade_xml_span *a, const ade_xml_span *b) {
    const uint32_t size = a->name_size < b->name_size ? a->name_size : b->name_size;
    const int      order = memcmp(tag + a->name, tag + b->name, size);
    if (order) return order;
    if (a->name_size != b->name_size) return a->name_size < b->name_size ? -1 : 1;
    return a->name < b->name ? -1 : a->name > b->name;
}

/* A heap sort: in place, and never slow, whatever the names. */
static inline void ade__xml_sort_spans(const char *tag, ade_xml_span *all, size_t n) {
    for (size_t top = n / 2; n > 1;) {
        if (top) {
            top--;
        } else {
            const ade_xml_span last = all[--n];
            all[n] = all[0];
            all[0] = last;
        }
        const ade_xml_span moved = all[top];
        size_t             hole = top;
        for (size_t child; (child = 2 * hole + 1) < n; hole = child) {
            if (child + 1 < n && ade__xml_compare_spans(tag, &all[child], &all[child + 1]) < 0) child++;
            if (ade__xml_compare_spans(tag, &moved, &all[child]) >= 0) break;
            all[hole] = all[child];
        }
        all[hole] = moved;
    }
}

/* The first of `all` whose name also stands before it in the tag; NULL when there is none. May change their order. */
static inline const ade_xml_span *ade__xml_duplicate(const char *tag, ade_xml_span *all, size_t n) {
    const ade_xml_span *found = NULL;
    if (n <= ADE_XML_FEW) {
        for (size_t i = 1; i < n; i++)
            for (size_t j = 0; j < i; j++)
                if (ade__xml_same_name(tag, &all[i], &all[j])) return &all[i];
        return NULL;
    }
    ade__xml_sort_spans(tag, all, n);
    for (size_t i = 1; i < n; i++)
        if (ade__xml_same_name(tag, &all[i - 1], &all[i]) && (!found || all[i].name < found->name)) found = &all[i];
    return found;
}

#endif
