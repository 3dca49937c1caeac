/* SPDX-License-Identifier: MIT */
/* Which version the library is, beside that of the headers in use. */
#include "internal.h"
#include "sluice.h"

const char *sluice_version(void)
{
        return SLUICE_VERSION_STRING;
}
