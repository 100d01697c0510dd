/* Checks of the programs in this directory. Each one that fails is printed and counted. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>

#include "vm_fdc.h"

static int failures;

#define IS(expected, actual) is((vm_fdc_result_t)(expected), (actual), #actual, __LINE__)
#define TRUE(what) is(1, !!(what), #what, __LINE__)

static void is(vm_fdc_result_t expected, vm_fdc_result_t actual, const char *what, int line)
{
    if (expected != actual) {
        fprintf(stderr, "%d: %s is 0x%08X, not 0x%08X\n", line, what, (unsigned)actual, (unsigned)expected);
        failures++;
    }
}

#endif
