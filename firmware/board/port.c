/* Evaluation kits with the MCUXpresso SDK: the debug console's UART, and the core's cycle counter.
 * `board.h`, `pin_mux.h` and `clock_config.h` are those of any example of the SDK for the board. */
#include "port.h"

#include "board.h"
#include "clock_config.h"
#include "fsl_debug_console.h"
#include "pin_mux.h"

void port_init(void) {
#if __CORTEX_M == 7
    BOARD_ConfigMPU();
#endif
#ifdef BOARD_DEBUG_UART_CLK_ATTACH /* MCX N: the UART has no clock before. */
    CLOCK_SetClkDiv(kCLOCK_DivFlexcom4Clk, 1u);
    CLOCK_AttachClk(BOARD_DEBUG_UART_CLK_ATTACH);
#endif
    BOARD_InitBootPins();
    BOARD_InitBootClocks();
    BOARD_InitDebugConsole();
    CoreDebug->DEMCR |= CoreDebug_DEMCR_TRCENA_Msk;
#if __CORTEX_M == 7
    DWT->LAR = 0xC5ACCE55; /* Unlocks the counter. */
#endif
    DWT->CYCCNT = 0;
    DWT->CTRL |= DWT_CTRL_CYCCNTENA_Msk;
}

void port_write(const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) PUTCHAR(text[i]);
}

uint32_t port_cycles(void) { return DWT->CYCCNT; }
