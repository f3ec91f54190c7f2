/* SPDX-License-Identifier: Apache-2.0
 * JSON from a model folder. The one header of the library that shows jansson's; for config.c, tokenizer_files.c,
 * safetensors.c and calibration_file.c alone. */
#ifndef ADE_JSON_H
#define ADE_JSON_H

#include "folder.h"

#include <jansson.h>

/* Parses untrusted JSON whose top level is an object. Before jansson allocates anything, a scan bounds depth,
 * containers and values, so that no text of a legal size becomes gigabytes. `where` ("folder/name") begins every
 * sentence. Duplicate keys are refused. flags: JSON_DECODE_INT_AS_REAL and the like. */
ade_status ade__json_parse(const char *where, const char *data, size_t size, size_t flags, json_t **out);

/* The same for a file of at most `limit` bytes; *out is NULL when there is no such file. */
ade_status ade__json_read(const char *folder, const char *name, size_t limit, size_t flags, ade_used_files *used,
                          json_t **out);

#endif
