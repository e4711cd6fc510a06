/* Four channels of a row of nanodet_max_pool_s8.c, which holds the C form.
 *
 *   nanodet_max_columns(pointers to three rows r0, pitch r1, out r2, activation + 128 or 0 r3,
 *                       [sp] pitch of the output, [sp + 4] outputs) */
#if defined(__ARM_FEATURE_DSP)
#include "nanodet_assembly.h"

 .macro LARGER one, other
 ssub8 lr, \one, \other
 sel \one, \one, \other
 .endm

@ The largest of three rows of the next column.
 .macro COLUMN to
 ldr \to, [r0, r5]
 ldr r7, [r4, r5]
 ldr r8, [r12, r5]
 add r5, r1
 LARGER \to, r7
 LARGER \to, r8
 .endm

 .macro ACTIVATE at
 sxtb r7, r6, ror #(8 * \at)
 ldrb r7, [r3, r7]
 strb r7, [r2, #\at]
 .endm

 BEGIN nanodet_max_columns
 ldrd r9, r10, [sp, #SAVED]
 ldr r12, [r0, #8]
 ldrd r0, r4, [r0]
 mov r5, #0
 COLUMN r11
1: COLUMN r6
 LARGER r6, r11
 COLUMN r11
 LARGER r6, r11
 cbz r3, 2f
 ACTIVATE 0
 ACTIVATE 1
 ACTIVATE 2
 ACTIVATE 3
 b 3f
2: str r6, [r2]
3: add r2, r9
 subs r10, #1
 bne 1b
 END nanodet_max_columns
#endif
#if defined(__linux__) && defined(__ELF__)
 .section .note.GNU-stack, "", %progbits
#endif
