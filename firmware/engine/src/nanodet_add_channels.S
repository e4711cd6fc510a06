/* Channels of a pixel of nanodet_add_s8.c, which holds the C form.
 *
 *   nanodet_add_channels(first r0, second r1, out r2, its end r3,
 *                        [sp] addends of the first + 128, [sp + 4] of the second, [sp + 8] rule)
 *
 * A multiple of four channels. */
#if defined(__ARM_FEATURE_DSP)
#include "nanodet_assembly.h"

 BEGIN nanodet_add_channels
 ldrd r4, r5, [sp, #SAVED]
 ldr r8, [sp, #(SAVED + 8)]
 ldm r8, {r6, r7, r8}
1: .rept 4
 ldrsb r9, [r0], #1
 ldrsb r10, [r1], #1
 ldr r9, [r4, r9, lsl #2]
 ldr r10, [r5, r10, lsl #2]
 add r9, r10
 REQUANTIZE r9, r6, r7, r8, , 0, r10
 strb r9, [r2], #1
 .endr
 cmp r2, r3
 bne 1b
 END nanodet_add_channels
#endif
#if defined(__linux__) && defined(__ELF__)
 .section .note.GNU-stack, "", %progbits
#endif
