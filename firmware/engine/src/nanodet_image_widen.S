/* Pixels of an image for nanodet_image_conv_s8.c, which holds the C form.
 *
 *   nanodet_image_widen_N(rows r0, r1, r2, pairs r3, [sp] bytes to the last row's next window)
 *
 * N windows of three rows of nine bytes: eight of each row as 16 bits, then the last ones. */
#if defined(__ARM_FEATURE_DSP)
#include "nanodet_assembly.h"

 .macro EIGHT row, pixels
 sxtb16 r8, r4
 sxtb16 r4, r4, ror #8
 sxtb16 r9, r5
 sxtb16 r5, r5, ror #8
 str r8, [r3, #(16 * \row * \pixels)]
 str r4, [r3, #(16 * \row * \pixels + 4 * \pixels)]
 str r9, [r3, #(16 * \row * \pixels + 8 * \pixels)]
 str r5, [r3, #(16 * \row * \pixels + 12 * \pixels)]
 .endm

 .macro WIDEN name, pixels
 BEGIN \name
 ldr r10, [sp, #SAVED]
 .rept \pixels
 ldr r4, [r0], #4
 ldr r5, [r0], #2
 ldrsb r6, [r0, #2]
 EIGHT 0, \pixels
 ldr r4, [r1], #4
 ldr r5, [r1], #2
 ldrsb r7, [r1, #2]
 EIGHT 1, \pixels
 pkhbt r6, r6, r7, lsl #16
 ldr r4, [r2]
 ldr r5, [r2, #4]
 ldrsb r7, [r2, #8]
 add r2, r10
 EIGHT 2, \pixels
 str r6, [r3, #(48 * \pixels)]
 str r7, [r3, #(52 * \pixels)]
 add r3, #4
 .endr
 END \name
 .endm

 WIDEN nanodet_image_widen_2, 2
 WIDEN nanodet_image_widen_3, 3
#endif
#if defined(__linux__) && defined(__ELF__)
 .section .note.GNU-stack, "", %progbits
#endif
