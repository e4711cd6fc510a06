/* QEMU's mps2-an500: its first UART, and its first timer for a clock. */
#include "port.h"

#define UART ((volatile uint32_t *)0x40004000)
#define TIMER ((volatile uint32_t *)0x40000000)
/* The timer runs down at 25 MHz; with `-icount shift=0` an instruction takes 1 ns. */
#define INSTRUCTIONS_A_TICK 40

void port_init(void) {
    UART[4] = 16; /* The least divisor of its clock. */
    UART[2] = 1;  /* Transmitter on. */
    TIMER[2] = TIMER[1] = 0xFFFFFFFF;
    TIMER[0] = 1;
}

void port_write(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        while (UART[1] & 1) continue; /* Full. */
        UART[0] = (uint8_t)text[i];
    }
}

uint32_t port_cycles(void) { return ~TIMER[1] * INSTRUCTIONS_A_TICK; }
