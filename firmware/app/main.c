#include "application.h"
#include "port.h"

#ifndef NANODET_FRAMES
#define NANODET_FRAMES 0 /* For ever. */
#endif

int main(void) {
    port_init();
    return application_run(NANODET_FRAMES);
}
