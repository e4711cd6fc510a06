/* Macros of the assembly files. */
#ifndef NANODET_ASSEMBLY_H
#define NANODET_ASSEMBLY_H

#include "nanodet/placement.h"

 .syntax unified
 .thumb

 .equ SAVED, 36             @ Bytes of r4 to r11 and lr.

 .macro BEGIN name
#if defined(NANODET_CODE_SECTION)
 .section NANODET_CODE_SECTION, "ax"
#else
 .section .text.\name, "ax"
#endif
 .p2align 2
 .global \name
 .type \name, %function
 .thumb_func
\name:
 push {r4-r11, lr}
 .endm

 .macro END name
 pop {r4-r11, pc}
 .size \name, . - \name
 .endm

@ A doubled sum to int8, see nanodet_requantize.h. shift: its lower byte counts.
 .macro REQUANTIZE sum, multiplier, offset, shift, table, active, spare
 add \spare, \offset, \sum, asr #31
 smmlar \sum, \sum, \multiplier, \spare
 asr \sum, \sum, \shift
 ssat \sum, #8, \sum
 .if \active
 ldrsb \sum, [\table, \sum]
 .endif
 .endm
#endif
