/* SPDX-License-Identifier: Apache-2.0
 * Where the model that ships with adesieve lies. */
#ifndef ADE_DEFAULT_MODEL_H
#define ADE_DEFAULT_MODEL_H

/* See ade_default_model in adesieve.h. */
const char *ade__default_model(void);

#endif
