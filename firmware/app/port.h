/* What differs from board to board: a place to write text, and a clock. `boards/<name>/port.c`
 * has them for the evaluation kits, `app/port_posix.c` for a PC. */
#ifndef NANODET_PORT_H
#define NANODET_PORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void port_init(void);

void port_write(const char *text, size_t length);

/* Of the core's clock, wrapping at 2^32; 0 throughout where there is no counter. */
uint32_t port_cycles(void);

#ifdef __cplusplus
}
#endif

#endif
