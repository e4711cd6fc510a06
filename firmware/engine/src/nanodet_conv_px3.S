/* Three pixels and all output channels of a convolution, two channels at a time:
 *   nanodet_conv_px3(pairs r0, stream r1, out r2, activation + 128 r3,
 *                    [sp] pitch, [sp + 4] inputs, [sp + 8] end of the stream)
 * nanodet_conv_px3_plain is the same without an activation. nanodet_conv_s8.c holds the C form. */
#if defined(__ARM_FEATURE_DSP)
 .syntax unified
 .thumb

 .equ PAIRS, 0
 .equ OUT, 4
 .equ TABLE, 8
 .equ PITCH, 12
 .equ CHUNKS, 16
 .equ REST, 20
 .equ FRAME, 24
 .equ ARGUMENTS, FRAME + 36

@ Two inputs of three pixels into six sums.
 .macro STEP
 ldm r0!, {r4, r5, r6}
 ldrd r7, r8, [r1], #8
 smlad r9, r4, r7, r9
 smlad r12, r4, r8, r12
 smlad r10, r5, r7, r10
 smlad lr, r5, r8, lr
 smlad r11, r6, r7, r11
 smlad r3, r6, r8, r3
 .endm

@ A doubled sum to int8: multiplier r4, offset r5, shift r6.
 .macro REQUANTIZE sum, active
 add r0, r5, \sum, asr #31
 smmlar \sum, \sum, r4, r0
 asr \sum, \sum, r6
 ssat \sum, #8, \sum
 .if \active
 ldrsb \sum, [r8, \sum]
 .endif
 .endm

 .macro CONVOLUTION name, active
#if defined(NANODET_CODE_SECTION)
 .section NANODET_CODE_SECTION, "ax"
#else
 .section .text.\name, "ax"
#endif
 .global \name
 .type \name, %function
 .thumb_func
\name:
 push {r4-r11, lr}
 sub sp, #FRAME
 ldr r4, [sp, #ARGUMENTS]
 ldr r5, [sp, #ARGUMENTS + 4]
 ldr r6, [sp, #ARGUMENTS + 8]
 str r0, [sp, #PAIRS]
 str r2, [sp, #OUT]
 str r3, [sp, #TABLE]
 str r4, [sp, #PITCH]
 mov r7, #24                @ Inputs of a turn of the long loop.
 udiv r8, r5, r7
 mls r5, r8, r7, r5
 lsr r5, #2                 @ Turns of the short one.
 str r8, [sp, #CHUNKS]
 str r5, [sp, #REST]
 str r6, [sp, #ARGUMENTS + 8]
1: ldrd r9, r12, [r1], #8
 ldr r0, [sp, #PAIRS]
 ldr r2, [sp, #CHUNKS]
 mov r10, r9
 mov r11, r9
 mov lr, r12
 mov r3, r12
 cmp r2, #0
 beq 3f
2: .rept 12
 STEP
 .endr
 subs r2, #1
 bne 2b
3: ldr r2, [sp, #REST]
 cbz r2, 5f
4: STEP
 STEP
 subs r2, #1
 bne 4b
5: ldm r1!, {r4, r5, r6}
 ldrd r7, r8, [sp, #OUT]    @ Out and activation.
 ldr r2, [sp, #PITCH]
 REQUANTIZE r9, \active
 REQUANTIZE r10, \active
 REQUANTIZE r11, \active
 strb r9, [r7]
 strb r10, [r7, r2]
 strb r11, [r7, r2, lsl #1]
 ldm r1!, {r4, r5, r6}
 add r7, #1
 REQUANTIZE r12, \active
 REQUANTIZE lr, \active
 REQUANTIZE r3, \active
 strb r12, [r7]
 strb lr, [r7, r2]
 strb r3, [r7, r2, lsl #1]
 add r7, #1
 ldr r0, [sp, #ARGUMENTS + 8]
 str r7, [sp, #OUT]
 cmp r1, r0
 bne 1b
 add sp, #FRAME
 pop {r4-r11, pc}
 .size \name, . - \name
 .endm

 CONVOLUTION nanodet_conv_px3, 1
 CONVOLUTION nanodet_conv_px3_plain, 0
#endif
