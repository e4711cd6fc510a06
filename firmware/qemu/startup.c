/* Starts `main` on QEMU's mps2-an500, and ends the emulation with what it returns. */
#include <stdint.h>
#include <string.h>

int main(void);
void reset(void);

extern uint32_t stack_top, bss_start, bss_end;
extern uint32_t ram_function_start, ram_function_end, ram_function_in_flash;

#define CPACR (*(volatile uint32_t *)0xE000ED88)

/* Semihosting's SYS_EXIT: only whether it went well. */
_Noreturn static void leave(int status) {
    register uint32_t operation __asm__("r0") = 0x18;
    register uint32_t reason __asm__("r1") = status == 0 ? 0x20026 : 0x20023;
    __asm__ volatile("bkpt 0xab" : : "r"(operation), "r"(reason) : "memory");
    for (;;) continue;
}

void reset(void) {
    CPACR |= 0xFu << 20; /* The floating-point unit. */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    memset(&bss_start, 0, (size_t)((char *)&bss_end - (char *)&bss_start));
    memcpy(&ram_function_start, &ram_function_in_flash,
           (size_t)((char *)&ram_function_end - (char *)&ram_function_start));
    leave(main());
}

static void fault(void) { leave(1); }

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
