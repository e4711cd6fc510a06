/* Starts a program on QEMU's mps2-an500 (Cortex-M7) with files and arguments by semihosting; on
 * another machine, where the timer or its clock is another. */
#include <stdint.h>
#include <string.h>

int main(int argc, char **argv);
void initialise_monitor_handles(void);
_Noreturn void _exit(int status);
void reset(void);
uint32_t runner_ticks(void);

extern uint32_t stack_top, bss_start, bss_end;

#define CPACR (*(volatile uint32_t *)0xE000ED88)
/* CMSDK timer 0 runs down at 25 MHz; with `-icount shift=0` an instruction takes 1 ns. */
#ifndef TIMER_AT
#define TIMER_AT 0x40000000
#define INSTRUCTIONS_A_TICK 40
#endif
#define TIMER ((volatile uint32_t *)TIMER_AT)

uint32_t runner_ticks(void) { return ~TIMER[1] * INSTRUCTIONS_A_TICK; }

static int arguments(char *line, char **argv, int most) {
    struct {
        char *text;
        int length;
    } block = {line, 511};
    register int operation __asm__("r0") = 0x15; /* SYS_GET_CMDLINE */
    register void *parameters __asm__("r1") = &block;
    __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(parameters) : "memory");
    int count = 0;
    for (char *word = strtok(line, " "); word && count < most; word = strtok(NULL, " ")) {
        argv[count++] = word;
    }
    return count;
}

void reset(void) {
    static char line[512];
    static char *argv[8];
    CPACR |= 0xFu << 20; /* The floating-point unit. */
    __asm__ volatile("dsb\n\tisb");
    memset(&bss_start, 0, (size_t)((char *)&bss_end - (char *)&bss_start));
    TIMER[2] = 0xFFFFFFFF;
    TIMER[1] = 0xFFFFFFFF;
    TIMER[0] = 1;
    initialise_monitor_handles();
    _exit(main(arguments(line, argv, 7), argv));
}

static void fault(void) { _exit(99); }

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
