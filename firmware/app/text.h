/* Text for `port_write`, without the C library's printf. */
#ifndef NANODET_TEXT_H
#define NANODET_TEXT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void put(const char *text);

void put_number(int32_t value);

/* At least so many digits, with zeros in front. */
void put_digits(uint32_t value, uint32_t digits);

/* As JSON wants it between quotes: quotes, backslashes and control characters escaped. The rest is
 * UTF-8. */
void put_json(const char *text);

#ifdef __cplusplus
}
#endif

#endif
