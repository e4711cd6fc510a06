/* Inner loops of nanodet_conv_pixels.c, which holds their C forms.
 *
 *   nanodet_conv_N(pairs r0, stream r1, out r2, activation + 128 r3,
 *                  [sp] pitch, [sp + 4] inputs, [sp + 8] end of the stream)
 *
 * N pixels and as many output channels as the stream holds, two channels at a time.
 * nanodet_conv_N_plain is the same without an activation.
 *
 *   nanodet_widen_N(from r0, pitch r1, pairs r2, end of the pairs r3)
 *
 * nanodet_widen_N_doubled makes them twice as large. */
#if defined(__ARM_FEATURE_DSP)
#include "nanodet_assembly.h"

 .equ FIRST, 0              @ Pairs.
 .equ LAST, 4               @ Behind them.
 .equ ENTRY, 8              @ Where the loop is entered, so that its other turns are whole.
 .equ OUT, 12
 .equ TABLE, 16
 .equ FRAME, 20
 .equ PITCH, FRAME + SAVED
 .equ INPUTS, PITCH + 4
 .equ END_OF_STREAM, PITCH + 8

 .equ STEP2_BYTES, 38
 .equ STEP3_BYTES, 30

@ A step takes so many inputs, words of pairs and bytes of code; so many are in a turn that ends at
@ 3. The first step is not in the loop.
 .macro PREPARE inputs, words, bytes, steps
 sub sp, #FRAME
 ldr r5, [sp, #INPUTS]
 mov r4, #\inputs
 udiv r5, r5, r4
 mov r4, #(4 * \words)
 mla r6, r5, r4, r0
 strd r0, r6, [sp, #FIRST]
 strd r2, r3, [sp, #OUT]
 sub r5, #1
 mov r4, #\steps
 udiv r6, r5, r4
 mls r5, r6, r4, r5         @ Steps of a turn cut short.
 mov r4, #\bytes
 adr.w r6, 3f
 mls r5, r5, r4, r6
 orr r5, #1
 str r5, [sp, #ENTRY]
 .endm

@ Two inputs of three pixels into six sums.
 .macro STEP3
 ldm.n r0!, {r4, r5, r6}
 ldrd r7, r8, [r1], #8
 smlad r9, r4, r7, r9
 smlad r12, r4, r8, r12
 smlad r10, r5, r7, r10
 smlad lr, r5, r8, lr
 smlad r11, r6, r7, r11
 smlad r3, r6, r8, r3
 .endm

@ One channel of three pixels.
 .macro FINISH3 one, two, three, active
 ldm r1!, {r4, r5, r6}
 REQUANTIZE \one, r4, r5, r6, r8, \active, r0
 REQUANTIZE \two, r4, r5, r6, r8, \active, r0
 REQUANTIZE \three, r4, r5, r6, r8, \active, r0
 add r6, r7, r6, lsr #8
 strb \one, [r6]
 strb \two, [r6, r2]
 strb \three, [r6, r2, lsl #1]
 .endm

 .macro CONV3 name, active
 BEGIN \name
 PREPARE 2, 3, STEP3_BYTES, 24
1: ldrd r9, r12, [r1], #8
 ldrd r0, r2, [sp, #FIRST]
 ldm r0!, {r4, r5, r6}
 ldrd r7, r8, [r1], #8
 smlad r10, r5, r7, r9
 smlad r11, r6, r7, r9
 smlad lr, r5, r8, r12
 smlad r3, r6, r8, r12
 smlad r9, r4, r7, r9
 smlad r12, r4, r8, r12
 ldr pc, [sp, #ENTRY]
2: .rept 24
 STEP3
 .endr
3: cmp r0, r2
 bne 2b
 ldrd r7, r8, [sp, #OUT]
 ldr r2, [sp, #PITCH]
 FINISH3 r9, r10, r11, \active
 FINISH3 r12, lr, r3, \active
 ldr r0, [sp, #END_OF_STREAM]
 cmp r1, r0
 bne 1b
 add sp, #FRAME
 END \name
 .endm

 CONV3 nanodet_conv_3, 1
 CONV3 nanodet_conv_3_plain, 0

@ Four inputs of two pixels into four sums.
 .macro STEP2
 ldm.n r0!, {r2, r3, r4, r5}
 ldm r1!, {r6, r7, r8, lr}
 smlad r9, r2, r6, r9
 smlad r10, r3, r6, r10
 smlad r11, r2, r7, r11
 smlad r12, r3, r7, r12
 smlad r9, r4, r8, r9
 smlad r10, r5, r8, r10
 smlad r11, r4, lr, r11
 smlad r12, r5, lr, r12
 .endm

 .macro FINISH2 one, two, active
 ldm r1!, {r4, r5, r6}
 REQUANTIZE \one, r4, r5, r6, r8, \active, r0
 REQUANTIZE \two, r4, r5, r6, r8, \active, r0
 add r6, r7, r6, lsr #8
 strb \one, [r6]
 strb \two, [r6, r2]
 .endm

 .macro CONV2 name, active
 BEGIN \name
 PREPARE 4, 4, STEP2_BYTES, 12
1: ldrd r9, r11, [r1], #8
 ldr r0, [sp, #FIRST]
 ldm r0!, {r2, r3, r4, r5}
 ldm r1!, {r6, r7, r8, lr}
 smlad r10, r3, r6, r9
 smlad r12, r3, r7, r11
 smlad r9, r2, r6, r9
 smlad r11, r2, r7, r11
 smlad r9, r4, r8, r9
 smlad r10, r5, r8, r10
 smlad r11, r4, lr, r11
 smlad r12, r5, lr, r12
 ldr pc, [sp, #ENTRY]
2: .rept 12
 STEP2
 .endr
3: ldr r2, [sp, #LAST]
 cmp r0, r2
 bne 2b
 ldrd r7, r8, [sp, #OUT]
 ldr r2, [sp, #PITCH]
 FINISH2 r9, r10, \active
 FINISH2 r11, r12, \active
 ldr r0, [sp, #END_OF_STREAM]
 cmp r1, r0
 bne 1b
 add sp, #FRAME
 END \name
 .endm

 CONV2 nanodet_conv_2, 1
 CONV2 nanodet_conv_2_plain, 0

 .macro DOUBLE pairs:vararg
 .irp pair, \pairs
 sadd16 \pair, \pair, \pair
 .endr
 .endm

 .macro WIDEN3 name, doubled
 BEGIN \name
 add r4, r0, r1
 add r1, r4, r1
1: ldr r5, [r0], #4
 ldr r6, [r4], #4
 ldr r7, [r1], #4
 sxtb16 r8, r5
 sxtb16 r9, r6
 sxtb16 r10, r7
 sxtb16 r11, r5, ror #8
 sxtb16 r12, r6, ror #8
 sxtb16 lr, r7, ror #8
 .if \doubled
 DOUBLE r8, r9, r10, r11, r12, lr
 .endif
 stm r2!, {r8-r12, lr}
 cmp r2, r3
 bne 1b
 END \name
 .endm

 WIDEN3 nanodet_widen_3, 0
 WIDEN3 nanodet_widen_3_doubled, 1

 .macro WIDEN2 name, doubled
 BEGIN \name
 add r1, r0
1: ldr r5, [r0], #4
 ldr r6, [r1], #4
 sxtb16 r8, r5
 sxtb16 r9, r6
 sxtb16 r10, r5, ror #8
 sxtb16 r11, r6, ror #8
 .if \doubled
 DOUBLE r8, r9, r10, r11
 .endif
 stm r2!, {r8-r11}
 cmp r2, r3
 bne 1b
 END \name
 .endm

 WIDEN2 nanodet_widen_2, 0
 WIDEN2 nanodet_widen_2_doubled, 1
#endif
#if defined(__linux__) && defined(__ELF__)
 .section .note.GNU-stack, "", %progbits
#endif
