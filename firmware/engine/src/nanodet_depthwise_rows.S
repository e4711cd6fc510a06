/* Inner loops of nanodet_depthwise_s8.c, which holds their C forms.
 *
 *   nanodet_depthwise_KS(columns r0, stream r1, out r2, row bytes r3,
 *                        [sp] pitch, [sp + 4] end of the columns, [sp + 8] activation + 128)
 *
 * One channel: two rows and two columns of outputs in a turn with stride 1, two columns of a row
 * with stride 2. K is the kernel, S the stride. nanodet_depthwise_plain_KS has no activation.
 *
 *   nanodet_depthwise_pack_KS(pointers to rows r0, bytes from pixel to pixel r1, columns r2, end r3)
 *
 * Four channels of each column; see nanodet_depthwise.h for what is where. */
#if defined(__ARM_FEATURE_DSP)
#include "nanodet_assembly.h"

@ Multiplier, offset, shift in r8 to r10, activation in r11.
 .macro RULE active, frame
 ldrd r8, r9, [r1, #4]
 ldr r10, [r1, #12]
 .if \active
 ldr r11, [sp, #(\frame + SAVED + 8)]
 .endif
 .endm

 .macro ROUND sum, active
 REQUANTIZE \sum, r8, r9, r10, r11, \active, r12
 .endm

@ Two columns of two rows: sums in r4 to r7, out r2, row bytes r3.
 .macro STORE1 frame
 ldrd r8, r9, [sp, #(\frame + SAVED)]
 strb r5, [r2, r3]          @ Before the upper row: it may be nobody's, and the same place.
 strb r4, [r2]
 add r2, r8
 strb r7, [r2, r3]
 strb r6, [r2]
 add r2, r8
 .endm

@ A column of two pairs by a column of the kernel in r8 and r9.
 .macro TAP3 one, two, upper, lower
 smlad \upper, \one, r8, \upper
 smlatb \lower, \one, r8, \lower
 smlabt \upper, \two, r9, \upper
 smlad \lower, \two, r9, \lower
 .endm

 .macro ROWS3 name, active
 BEGIN \name
1: ldr r4, [r1]
 ldrd r8, r9, [r1, #16]
 ldrd r12, lr, [r0, #32]
 ldrd r10, r11, [r0], #64
 smlatb r5, r10, r8, r4
 smlad r6, r12, r8, r4
 smlatb r7, r12, r8, r4
 smlad r4, r10, r8, r4
 smlad r5, r11, r9, r5
 smlabt r6, lr, r9, r6
 smlad r7, lr, r9, r7
 smlabt r4, r11, r9, r4
 ldrd r8, r9, [r1, #24]
 ldrd r10, r11, [r0]
 TAP3 r12, lr, r4, r5
 TAP3 r10, r11, r6, r7
 ldrd r8, r9, [r1, #32]
 ldrd r12, lr, [r0, #32]
 TAP3 r10, r11, r4, r5
 TAP3 r12, lr, r6, r7
 RULE \active, 0
 ROUND r4, \active
 ROUND r5, \active
 ROUND r6, \active
 ROUND r7, \active
 STORE1 0
 cmp r0, r9
 bne 1b
 END \name
 .endm

 ROWS3 nanodet_depthwise_31, 1
 ROWS3 nanodet_depthwise_plain_31, 0

@ A column of three pairs.
 .macro COLUMN5 at, one, two, three
 ldrd \one, \two, [r0, #(64 * \at)]
 ldr \three, [r0, #(64 * \at + 32)]
 .endm

@ Two such columns by a column of the kernel.
 .macro TAP5 at, a, b, c, d, e, f
 ldrd r2, r3, [r1, #(16 + 16 * \at)]
 smlad r4, \a, r2, r4
 smlatb r5, \a, r2, r5
 smlad r6, \d, r2, r6
 smlatb r7, \d, r2, r7
 smlad r5, \b, r3, r5
 smlad r7, \e, r3, r7
 ldrd r2, r3, [r1, #(24 + 16 * \at)]
 smlad r4, \b, r2, r4
 smlad r6, \e, r2, r6
 smlabt r4, \c, r3, r4
 smlad r5, \c, r3, r5
 smlabt r6, \f, r3, r6
 smlad r7, \f, r3, r7
 .endm

@ [sp]: out, row bytes.
 .macro ROWS5 name, active
 BEGIN \name
 sub sp, #8
 strd r2, r3, [sp]
1: ldr r4, [r1]
 mov r5, r4
 mov r6, r4
 mov r7, r4
 COLUMN5 0, r8, r9, r10
 COLUMN5 1, r11, r12, lr
 TAP5 0, r8, r9, r10, r11, r12, lr
 COLUMN5 2, r8, r9, r10
 TAP5 1, r11, r12, lr, r8, r9, r10
 COLUMN5 3, r11, r12, lr
 TAP5 2, r8, r9, r10, r11, r12, lr
 COLUMN5 4, r8, r9, r10
 TAP5 3, r11, r12, lr, r8, r9, r10
 COLUMN5 5, r11, r12, lr
 TAP5 4, r8, r9, r10, r11, r12, lr
 add r0, #128
 RULE \active, 8
 ROUND r4, \active
 ROUND r5, \active
 ROUND r6, \active
 ROUND r7, \active
 ldrd r2, r3, [sp]
 STORE1 8
 str r2, [sp]
 cmp r0, r9
 bne 1b
 add sp, #8
 END \name
 .endm

 ROWS5 nanodet_depthwise_51, 1
 ROWS5 nanodet_depthwise_plain_51, 0

@ One row, two columns: sums in r4 and r5.
 .macro STORE2
 ldrd r8, r9, [sp, #SAVED]
 strb r4, [r2]
 strb r5, [r2, r8]
 add r2, r2, r8, lsl #1
 .endm

 .macro LEAP3 name, active
 BEGIN \name
1: ldr r4, [r1]
 ldrd r6, r7, [r1, #16]     @ Weights of a column,
 ldrd r8, r9, [r1, #24]     @ of its last pair, and of the next one,
 ldr r10, [r1, #32]         @ which lacks it.
 ldrd r11, r12, [r0, #64]
 ldr lr, [r0, #96]
 smlad r5, r11, r6, r4
 smlad r4, r11, r9, r4
 smlad r5, r12, r7, r5
 smlad r4, r12, r10, r4
 smlad r5, lr, r8, r5
 ldrd r11, r12, [r0]
 ldr lr, [r0, #32]
 smlad r4, r11, r6, r4
 smlad r4, r12, r7, r4
 smlad r4, lr, r8, r4
 ldrd r11, r12, [r0, #128]!
 smlad r5, r11, r9, r5
 smlad r5, r12, r10, r5
 RULE \active, 0
 ROUND r4, \active
 ROUND r5, \active
 STORE2
 cmp r0, r9
 bne 1b
 END \name
 .endm

 LEAP3 nanodet_depthwise_32, 1
 LEAP3 nanodet_depthwise_plain_32, 0

@ A column of four words by the weights in r6 to r9.
 .macro TAP4 at, sum
 ldrd r10, r11, [r0, #(64 * \at)]
 ldrd r12, lr, [r0, #(64 * \at + 32)]
 smlad \sum, r10, r6, \sum
 smlad \sum, r11, r7, \sum
 smlad \sum, r12, r8, \sum
 smlad \sum, lr, r9, \sum
 .endm

 .macro LEAP4 name, active
 BEGIN \name
1: ldr r4, [r1]
 mov r5, r4
 ldrd r6, r7, [r1, #16]
 ldrd r8, r9, [r1, #24]
 TAP4 0, r4
 TAP4 1, r5
 ldrd r6, r7, [r1, #32]
 ldrd r8, r9, [r1, #40]
 TAP4 1, r4
 TAP4 2, r5
 add r0, #128
 RULE \active, 0
 ROUND r4, \active
 ROUND r5, \active
 STORE2
 cmp r0, r9
 bne 1b
 END \name
 .endm

 LEAP4 nanodet_depthwise_42, 1
 LEAP4 nanodet_depthwise_plain_42, 0

@ Column `at` of five words by the weights in r6 to r10, or the first three of them.
 .macro SUM5 at, sum, words
 ldrd r11, r12, [r0, #(96 * \at)]
 smlad \sum, r11, r6, \sum
 smlad \sum, r12, r7, \sum
 .if \words == 5
 ldrd r11, r12, [r0, #(96 * \at + 32)]
 smlad \sum, r11, r8, \sum
 smlad \sum, r12, r9, \sum
 ldr r11, [r0, #(96 * \at + 64)]
 smlad \sum, r11, r10, \sum
 .else
 ldr r11, [r0, #(96 * \at + 32)]
 smlad \sum, r11, r8, \sum
 .endif
 .endm

 .macro LEAP5 name, active
 BEGIN \name
1: ldr r4, [r1]
 mov r5, r4
 ldrd r6, r7, [r1, #16]
 ldrd r8, r9, [r1, #24]
 ldr r10, [r1, #32]
 SUM5 0, r4, 5
 SUM5 1, r5, 5
 ldrd r6, r7, [r1, #36]
 ldrd r8, r9, [r1, #44]
 ldr r10, [r1, #52]
 SUM5 1, r4, 5
 SUM5 2, r5, 5
 ldrd r6, r7, [r1, #56]
 ldr r8, [r1, #64]
 SUM5 2, r4, 3
 SUM5 3, r5, 3
 add r0, #192
 RULE \active, 0
 ROUND r4, \active
 ROUND r5, \active
 STORE2
 cmp r0, r9
 bne 1b
 END \name
 .endm

 LEAP5 nanodet_depthwise_52, 1
 LEAP5 nanodet_depthwise_plain_52, 0

@ Bytes of two rows or columns to pairs, of the channels 0 and 2; turned by 8 bits, 1 and 3.
 .macro PAIR upper, lower, first, second, turn:vararg
 sxtb16 \first, \upper \turn
 sxtb16 lr, \lower \turn
 pkhtb \second, lr, \first, asr #16
 pkhbt \first, \first, lr, lsl #16
 .endm

@ A word of each of two rows.
 .macro FETCH rows, one, two
 ldrd \one, \two, [r0, #(4 * \rows)]
 ldr \one, [\one, r4]
 ldr \two, [\two, r4]
 .endm

@ Four rows or columns in r5 to r8 to the first two words.
 .macro TWO_WORDS
 PAIR r5, r6, r9, r11
 PAIR r7, r8, r10, r12
 stm r2!, {r9-r12}
 PAIR r5, r6, r9, r11, , ror #8
 PAIR r7, r8, r10, r12, , ror #8
 stm r2!, {r9-r12}
 .endm

@ Two rows in r5 and r6 to the third word, with room behind it.
 .macro ONE_WORD
 PAIR r5, r6, r9, r10
 PAIR r5, r6, r11, r12, , ror #8
 str r9, [r2], #32
 str r10, [r2, #-24]
 str r11, [r2, #-16]
 str r12, [r2, #-8]
 .endm

 .macro NEXT name
 cmp r2, r3
 bne 1b
 END \name
 .endm

 BEGIN nanodet_depthwise_pack_31
 mov r4, #0
1: FETCH 0, r5, r6
 FETCH 2, r7, r8
 add r4, r1
 TWO_WORDS
 NEXT nanodet_depthwise_pack_31

 BEGIN nanodet_depthwise_pack_51
 mov r4, #0
1: FETCH 0, r5, r6
 FETCH 2, r7, r8
 TWO_WORDS
 FETCH 4, r5, r6
 add r4, r1
 ONE_WORD
 NEXT nanodet_depthwise_pack_51

 BEGIN nanodet_depthwise_pack_32
 mov r4, #0
1: FETCH 0, r5, r6
 ldr r8, [r0, #8]
 ldr r7, [r8, r4]
 add r4, r1
 ldr r8, [r8, r4]
 TWO_WORDS
 FETCH 0, r5, r6
 add r4, r1
 ONE_WORD
 NEXT nanodet_depthwise_pack_32

 BEGIN nanodet_depthwise_pack_42
 mov r4, #0
1: .rept 2
 FETCH 0, r5, r6
 FETCH 2, r7, r8
 add r4, r1
 TWO_WORDS
 .endr
 NEXT nanodet_depthwise_pack_42

 BEGIN nanodet_depthwise_pack_52
 mov r4, #0
1: FETCH 0, r5, r6
 FETCH 2, r7, r8
 TWO_WORDS
 ldr r6, [r0, #16]
 ldr r5, [r6, r4]
 add r4, r1
 ldr r6, [r6, r4]
 FETCH 0, r7, r8
 TWO_WORDS
 FETCH 2, r5, r6
 add r4, r1
 ONE_WORD
 NEXT nanodet_depthwise_pack_52
#endif
#if defined(__linux__) && defined(__ELF__)
 .section .note.GNU-stack, "", %progbits
#endif
