/* A plugin of QEMU's user mode: writes how many instructions have run, a line whenever the program
 * calls getppid. Its only argument is `counts=FILE`. QEMU's interface is declared here as it has been
 * since version 6, for not every distribution ships its header. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))
#define GETPPID 173 /* Of Linux on arm64. */

struct qemu_plugin_tb;
typedef uint64_t Id;
typedef uint64_t Word;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(Id id, void (*)(Id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block,
                                          void (*)(unsigned cpu, void *), int flags, void *);
void qemu_plugin_register_vcpu_syscall_cb(Id id, void (*)(Id, unsigned cpu, int64_t number, Word,
                                                          Word, Word, Word, Word, Word, Word,
                                                          Word));

PUBLIC int qemu_plugin_version = API_VERSION;

static FILE *counts;
static uint64_t instructions;

static void on_run(unsigned cpu, void *length)
{
    (void)cpu;
    __atomic_fetch_add(&instructions, (uintptr_t)length, __ATOMIC_RELAXED);
}

static void on_translation(Id id, struct qemu_plugin_tb *block)
{
    const uintptr_t length = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, on_run, 0, (void *)length);
}

static void on_call(Id id, unsigned cpu, int64_t number, Word a, Word b, Word c, Word d, Word e,
                    Word f, Word g, Word h)
{
    (void)id, (void)cpu, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == GETPPID) {
        fprintf(counts, "%" PRIu64 "\n", instructions);
        fflush(counts);
    }
}

PUBLIC int qemu_plugin_install(Id id, const void *info, int count, char **arguments)
{
    (void)info;
    if (count != 1 || strncmp(arguments[0], "counts=", 7) != 0) {
        return 1;
    }
    counts = fopen(arguments[0] + 7, "w");
    if (counts == NULL) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_vcpu_syscall_cb(id, on_call);
    return 0;
}
