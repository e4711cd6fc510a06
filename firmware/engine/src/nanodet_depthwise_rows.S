/* Inner loops of nanodet_depthwise_s8.c, which holds their C forms.
 *
 *   nanodet_depthwise_KS_s1(columns r0, stream r1, out r2, row bytes r3,
 *                           [sp] pitch, [sp + 4] end of the columns, [sp + 8] activation + 128)
 *
 * One channel: two rows and two columns of outputs in a turn with stride 1, two columns of a row
 * with stride 2. KS is 3 or 5. nanodet_depthwise_KS_s1_plain has no activation.
 *
 *   nanodet_depthwise_pack_N(pointers to N rows r0, bytes from pixel to pixel r1, columns r2,
 *                            end of the first channel's columns r3, [sp] bytes of such columns)
 *
 * Four channels of each column, as pairs of rows. */
#if defined(__ARM_FEATURE_DSP)
 .syntax unified
 .thumb

 .equ SAVED, 36

 .macro BEGIN name
#if defined(NANODET_CODE_SECTION)
 .section NANODET_CODE_SECTION, "ax"
#else
 .section .text.\name, "ax"
#endif
 .global \name
 .type \name, %function
 .thumb_func
\name:
 .endm

@ A doubled sum to int8: multiplier r10, offset r11, shift r12, activation r9.
 .macro REQUANTIZE sum, active
 add r8, r11, \sum, asr #31
 smmlar \sum, \sum, r10, r8
 asr \sum, \sum, r12
 ssat \sum, #8, \sum
 .if \active
 ldrsb \sum, [r9, \sum]
 .endif
 .endm

 .macro RULE active
 ldrd r10, r11, [r1, #4]
 ldr r12, [r1, #12]
 .if \active
 ldr r9, [sp, #(SAVED + 8)]
 .endif
 .endm

@ Stride 1: column `at` of three rows' pairs into two rows of sums.
 .macro TAP3 at, upper, lower
 ldrd r10, r11, [r1, #(16 + 8 * \at)]
 smlad \upper, r8, r10, \upper
 smlatb \lower, r8, r10, \lower
 smlabt \upper, r9, r11, \upper
 smlad \lower, r9, r11, \lower
 .endm

 .macro TAP5 at, upper, lower
 ldrd r11, r12, [r1, #(16 + 16 * \at)]
 smlad \upper, r8, r11, \upper
 smlatb \lower, r8, r11, \lower
 smlad \lower, r9, r12, \lower
 ldrd r11, r12, [r1, #(24 + 16 * \at)]
 smlad \upper, r9, r11, \upper
 smlabt \upper, r10, r12, \upper
 smlad \lower, r10, r12, \lower
 .endm

 .macro COLUMN3 at
 ldrd r8, r9, [r0, #(8 * \at)]
 .if \at < 3
 TAP3 \at, r4, r5
 .endif
 .if \at > 0
 TAP3 (\at - 1), r6, r7
 .endif
 .endm

 .macro COLUMN5 at
 ldrd r8, r9, [r0, #(12 * \at)]
 ldr r10, [r0, #(12 * \at + 8)]
 .if \at < 5
 TAP5 \at, r4, r5
 .endif
 .if \at > 0
 TAP5 (\at - 1), r6, r7
 .endif
 .endm

 .macro STRIDE1 name, kernel, active
 BEGIN \name
 push {r4-r11, lr}
1: ldr r4, [r1]
 mov r5, r4
 mov r6, r4
 mov r7, r4
 .if \kernel == 3
 COLUMN3 0
 COLUMN3 1
 COLUMN3 2
 COLUMN3 3
 add r0, #16
 .else
 COLUMN5 0
 COLUMN5 1
 COLUMN5 2
 COLUMN5 3
 COLUMN5 4
 COLUMN5 5
 add r0, #24
 .endif
 RULE \active
 REQUANTIZE r4, \active
 REQUANTIZE r5, \active
 REQUANTIZE r6, \active
 REQUANTIZE r7, \active
 ldrd r10, r11, [sp, #SAVED]
 strb r5, [r2, r3]          @ Before the upper row: it may be nobody's, and the same place.
 strb r4, [r2]
 add r2, r10
 strb r7, [r2, r3]
 strb r6, [r2]
 add r2, r10
 cmp r0, r11
 bne 1b
 pop {r4-r11, pc}
 .size \name, . - \name
 .endm

 STRIDE1 nanodet_depthwise_3_s1, 3, 1
 STRIDE1 nanodet_depthwise_3_s1_plain, 3, 0
 STRIDE1 nanodet_depthwise_5_s1, 5, 1
 STRIDE1 nanodet_depthwise_5_s1_plain, 5, 0

@ Stride 2: column `at` of the rows' pairs into a sum.
 .macro SUM3 at, sum
 ldrd r8, r9, [r1, #(16 + 8 * \at)]
 smlad \sum, r6, r8, \sum
 smlad \sum, r7, r9, \sum
 .endm

 .macro SUM5 at, sum
 ldrd r9, r10, [r1, #(16 + 12 * \at)]
 ldr r11, [r1, #(24 + 12 * \at)]
 smlad \sum, r6, r9, \sum
 smlad \sum, r7, r10, \sum
 smlad \sum, r8, r11, \sum
 .endm

 .macro LEAP3 at
 ldrd r6, r7, [r0, #(8 * \at)]
 .if \at < 3
 SUM3 \at, r4
 .endif
 .if \at > 1
 SUM3 (\at - 2), r5
 .endif
 .endm

 .macro LEAP5 at
 ldrd r6, r7, [r0, #(12 * \at)]
 ldr r8, [r0, #(12 * \at + 8)]
 .if \at < 5
 SUM5 \at, r4
 .endif
 .if \at > 1
 SUM5 (\at - 2), r5
 .endif
 .endm

 .macro STRIDE2 name, kernel, active
 BEGIN \name
 push {r4-r11, lr}
1: ldr r4, [r1]
 mov r5, r4
 .if \kernel == 3
 LEAP3 0
 LEAP3 1
 LEAP3 2
 LEAP3 3
 LEAP3 4
 add r0, #32
 .else
 LEAP5 0
 LEAP5 1
 LEAP5 2
 LEAP5 3
 LEAP5 4
 LEAP5 5
 LEAP5 6
 add r0, #48
 .endif
 RULE \active
 REQUANTIZE r4, \active
 REQUANTIZE r5, \active
 ldrd r10, r11, [sp, #SAVED]
 strb r4, [r2]
 strb r5, [r2, r10]
 add r2, r2, r10, lsl #1
 cmp r0, r11
 bne 1b
 pop {r4-r11, pc}
 .size \name, . - \name
 .endm

 STRIDE2 nanodet_depthwise_3_s2, 3, 1
 STRIDE2 nanodet_depthwise_3_s2_plain, 3, 0
 STRIDE2 nanodet_depthwise_5_s2, 5, 1
 STRIDE2 nanodet_depthwise_5_s2_plain, 5, 0

@ Four channels of two rows in `upper` and `lower` to the four channels' columns, at r2, r2 + r3,
@ r2 + 2 r3 and r8.
 .macro PAIR upper, lower, at
 sxtb16 r9, \upper
 sxtb16 r10, \lower
 pkhbt r11, r9, r10, lsl #16
 pkhtb r12, r10, r9, asr #16
 str r11, [r2, #(4 * \at)]
 str r12, [lr, #(4 * \at)]
 sxtb16 r9, \upper, ror #8
 sxtb16 r10, \lower, ror #8
 pkhbt r11, r9, r10, lsl #16
 pkhtb r12, r10, r9, asr #16
 str r11, [r3, #(4 * \at)]
 str r12, [r8, #(4 * \at)]
 .endm

@ The last row of an odd number, with zeros beside it.
 .macro SINGLE upper, at
 sxtb16 r9, \upper
 uxth r11, r9
 lsr r12, r9, #16
 str r11, [r2, #(4 * \at)]
 str r12, [lr, #(4 * \at)]
 sxtb16 r9, \upper, ror #8
 uxth r11, r9
 lsr r12, r9, #16
 str r11, [r3, #(4 * \at)]
 str r12, [r8, #(4 * \at)]
 .endm

@ A word of row `index`; r0 points to the rows' pointers.
 .macro FETCH index, to
 ldr \to, [r0, #(4 * \index)]
 ldr \to, [\to, r6]
 .endm

 .macro PACK name, rows
 BEGIN \name
 push {r4-r11, lr}
 ldr r4, [sp, #SAVED]       @ Bytes of a channel's columns.
 mov r7, r1
 mov r6, #0                 @ From a row's first pixel on.
 mov r1, r3                 @ The end.
 add r3, r2, r4
 add lr, r2, r4, lsl #1
 add r8, lr, r4
1: FETCH 0, r4
 FETCH 1, r5
 PAIR r4, r5, 0
 FETCH 2, r4
 .if \rows > 3
 FETCH 3, r5
 PAIR r4, r5, 1
 .else
 SINGLE r4, 1
 .endif
 .if \rows > 4
 FETCH 4, r4
 .if \rows > 5
 FETCH 5, r5
 PAIR r4, r5, 2
 .else
 SINGLE r4, 2
 .endif
 .endif
 .equ PAIRS_BYTES, (\rows + 1) / 2 * 4
 add r6, r7
 add r2, #PAIRS_BYTES
 add r3, #PAIRS_BYTES
 add lr, #PAIRS_BYTES
 add r8, #PAIRS_BYTES
 cmp r2, r1
 bne 1b
 pop {r4-r11, pc}
 .size \name, . - \name
 .endm

 PACK nanodet_depthwise_pack_3, 3
 PACK nanodet_depthwise_pack_4, 4
 PACK nanodet_depthwise_pack_5, 5
 PACK nanodet_depthwise_pack_6, 6
#endif
