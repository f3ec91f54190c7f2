/* SPDX-License-Identifier: Apache-2.0
 * Reads a store back: documents with their hits, in the order of PMIDs. The functions mean what adesieve.h says of
 * their ade_export_* namesakes. */
#ifndef ADE_EXPORT_H
#define ADE_EXPORT_H

#include "adesieve.h"

#include <stdbool.h>

ade_status ade__export_open(const char *store, ade_export **out);
ade_status ade__export_get_info(ade_export *exported, ade_export_info *info);
ade_status ade__export_next(ade_export *exported, double threshold, bool deleted, ade_export_document *document);
void       ade__export_close(ade_export *exported);

#endif
