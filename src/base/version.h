/* SPDX-License-Identifier: Apache-2.0
 * The version of adesieve.h as a string. */
#ifndef ADE_VERSION_TEXT_H
#define ADE_VERSION_TEXT_H

#include "adesieve.h"

#define ADE_STRING2(x) #x
#define ADE_STRING(x) ADE_STRING2(x)
#define ADE_VERSION_TEXT \
    ADE_STRING(ADE_VERSION_MAJOR) "." ADE_STRING(ADE_VERSION_MINOR) "." ADE_STRING(ADE_VERSION_PATCH)

#endif
