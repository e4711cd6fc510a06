#include "text.h"

#include <string.h>

#include "port.h"

#define MOST_DIGITS 10

void put(const char *text) { port_write(text, strlen(text)); }

void put_digits(uint32_t value, uint32_t digits) {
    char text[MOST_DIGITS];
    uint32_t at = MOST_DIGITS;
    for (uint32_t done = 0; (value || done < digits || done == 0) && at > 0; done++, value /= 10) {
        text[--at] = (char)('0' + value % 10);
    }
    port_write(text + at, MOST_DIGITS - at);
}

void put_number(int32_t value) {
    if (value < 0) put("-");
    put_digits(value < 0 ? 0u - (uint32_t)value : (uint32_t)value, 1);
}

void put_json(const char *text) {
    for (; *text != 0; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            port_write(text, 1);
            continue;
        }
        char digits[] = {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
        put("\\u00");
        port_write(digits, sizeof digits);
    }
}
