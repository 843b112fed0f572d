/* An LD_PRELOAD library that lets one call fail that would change what a folder holds.

   Counted are the calls that open a file for writing, write to it, sync it, rename or link it, or make a folder, below
   FAULT_FOLDER, in all processes and threads of the run together. Number FAULT_CALL, from 1, fails with the error
   FAULT_ERRNO; 0 lets none fail. FAULT_COUNTER is a file of 8 bytes, which holds the number of the calls so far. A line
   for each call, "number kind path", is appended to FAULT_LOG. Both lie outside the folder.

   Calls that pass go to the kernel directly. What the C library buffers counts when it reaches the kernel: the streams
   of fopen and fdopen are replaced by ones that write through this file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static uint64_t *counter;
static const char *folder;
static uint64_t failing;
static int failing_with, log_file = -1;

/* Also called by a process that was forked, and not started, for a run. */
__attribute__((constructor)) void begin_counting(void)
{
    const char *counter_path = getenv("FAULT_COUNTER");
    folder = getenv("FAULT_FOLDER");
    if (!counter_path || !folder)
        return;
    int file = syscall(SYS_openat, AT_FDCWD, counter_path, O_RDWR | O_CLOEXEC);
    void *memory = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) {
        perror(counter_path);
        _exit(99);
    }
    syscall(SYS_close, file);
    failing = strtoull(getenv("FAULT_CALL"), NULL, 10);
    failing_with = atoi(getenv("FAULT_ERRNO"));
    /* A high number: programs close the low ones that they do not know. */
    int opened = syscall(SYS_openat, AT_FDCWD, getenv("FAULT_LOG"), O_WRONLY | O_APPEND | O_CLOEXEC);
    log_file = fcntl(opened, F_DUPFD_CLOEXEC, 900);
    syscall(SYS_close, opened);
    counter = memory;
}

/* ---- which calls count */

static int is_inside(const char *path)
{
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static void path_of_file(int file, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

static void absolute_path(int base, const char *name, char *path)
{
    char start[PATH_MAX] = "";
    if (name[0] != '/') {
        if (base == AT_FDCWD)
            syscall(SYS_getcwd, start, sizeof start);
        else
            path_of_file(base, start);
    }
    if (snprintf(path, PATH_MAX, *start ? "%s/%s" : "%s%s", start, name) >= PATH_MAX)
        path[0] = 0;
}

/* Count a call; return whether it is the one that fails, and set errno then. */
static int fails(const char *kind, const char *path)
{
    if (!counter || !is_inside(path))
        return 0;
    uint64_t number = __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%llu %s %s\n", (unsigned long long)number, kind, path);
    syscall(SYS_write, log_file, line, length);
    if (number != failing)
        return 0;
    errno = failing_with;
    return 1;
}

static int fails_at(const char *kind, int base, const char *name)
{
    char path[PATH_MAX];
    if (!counter)
        return 0;
    absolute_path(base, name, path);
    return fails(kind, path);
}

static int fails_on(const char *kind, int file)
{
    char path[PATH_MAX];
    if (!counter)
        return 0;
    path_of_file(file, path);
    return fails(kind, path);
}

/* ---- opening */

static int open_file(int base, const char *name, int flags, mode_t mode)
{
    if (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) && fails_at("open", base, name))
        return -1;
    return syscall(SYS_openat, base, name, flags, mode);
}

#define MODE(flags)                                                   \
    mode_t mode = 0;                                                  \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) {    \
        va_list rest;                                                 \
        va_start(rest, flags);                                        \
        mode = va_arg(rest, mode_t);                                  \
        va_end(rest);                                                 \
    }
#define OPEN(function) \
    int function(const char *name, int flags, ...) { MODE(flags) return open_file(AT_FDCWD, name, flags, mode); }
#define OPENAT(function) \
    int function(int base, const char *name, int flags, ...) { MODE(flags) return open_file(base, name, flags, mode); }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
int __open_2(const char *name, int flags) { return open_file(AT_FDCWD, name, flags, 0); }
int __open64_2(const char *name, int flags) { return open_file(AT_FDCWD, name, flags, 0); }
int __openat_2(int base, const char *name, int flags) { return open_file(base, name, flags, 0); }
int __openat64_2(int base, const char *name, int flags) { return open_file(base, name, flags, 0); }
int creat(const char *name, mode_t mode) { return open_file(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return creat(name, mode); }

#define ORIGINAL(type, function, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, function))
int mkostemps(char *name, int length, int flags)
{
    return fails_at("open", AT_FDCWD, name) ? -1 : ORIGINAL(int, "mkostemps", char *, int, int)(name, length, flags);
}
int mkstemp(char *name) { return mkostemps(name, 0, 0); }
int mkstemp64(char *name) { return mkostemps(name, 0, 0); }
int mkostemp(char *name, int flags) { return mkostemps(name, 0, flags); }
int mkostemp64(char *name, int flags) { return mkostemps(name, 0, flags); }
int mkstemps(char *name, int length) { return mkostemps(name, length, 0); }

/* ---- writing and syncing */

ssize_t write(int file, const void *data, size_t size)
{
    return fails_on("write", file) ? -1 : syscall(SYS_write, file, data, size);
}
ssize_t pwrite(int file, const void *data, size_t size, off_t offset)
{
    return fails_on("write", file) ? -1 : syscall(SYS_pwrite64, file, data, size, offset);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) { return pwrite(file, data, size, offset); }
ssize_t writev(int file, const struct iovec *parts, int count)
{
    return fails_on("write", file) ? -1 : syscall(SYS_writev, file, parts, count);
}
ssize_t sendfile(int to, int from, off_t *offset, size_t size)
{
    return fails_on("write", to) ? -1 : syscall(SYS_sendfile, to, from, offset, size);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) { return sendfile(to, from, offset, size); }
ssize_t copy_file_range(int from, off64_t *start, int to, off64_t *offset, size_t size, unsigned flags)
{
    return fails_on("write", to) ? -1 : syscall(SYS_copy_file_range, from, start, to, offset, size, flags);
}
int fsync(int file) { return fails_on("sync", file) ? -1 : syscall(SYS_fsync, file); }
int fdatasync(int file) { return fails_on("sync", file) ? -1 : syscall(SYS_fdatasync, file); }

/* ---- streams */

static ssize_t stream_read(void *file, char *data, size_t size) { return read((intptr_t)file, data, size); }
static ssize_t stream_write(void *file, const char *data, size_t size)
{
    ssize_t written = write((intptr_t)file, data, size);
    return written < 0 ? 0 : written;       /* 0 is the error of these functions */
}
static int stream_seek(void *file, off64_t *offset, int from)
{
    *offset = lseek((intptr_t)file, *offset, from);
    return *offset < 0 ? -1 : 0;
}
static int stream_close(void *file) { return syscall(SYS_close, (intptr_t)file); }

static FILE *stream(int file, const char *mode)
{
    return fopencookie((void *)(intptr_t)file, mode, (cookie_io_functions_t){
        stream_read, stream_write, stream_seek, stream_close});
}

static int writes(const char *mode) { return mode[0] != 'r' || strchr(mode, '+') != NULL; }

FILE *fdopen(int file, const char *mode)
{
    char path[PATH_MAX];
    path_of_file(file, path);
    if (counter && writes(mode) && is_inside(path))
        return stream(file, mode);
    return ORIGINAL(FILE *, "fdopen", int, const char *)(file, mode);
}

FILE *fopen(const char *name, const char *mode)
{
    char path[PATH_MAX];
    absolute_path(AT_FDCWD, name, path);
    if (!counter || !writes(mode) || !is_inside(path))
        return ORIGINAL(FILE *, "fopen", const char *, const char *)(name, mode);
    int flags = mode[0] == 'r' ? 0 : mode[0] == 'w' ? O_CREAT | O_TRUNC : O_CREAT | O_APPEND;
    int file = open_file(AT_FDCWD, name, flags | (strchr(mode, '+') ? O_RDWR : O_WRONLY), 0666);
    return file < 0 ? NULL : stream(file, mode);
}
FILE *fopen64(const char *name, const char *mode) { return fopen(name, mode); }

/* ---- names and folders */

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    return fails_at("rename", to, new) ? -1 : syscall(SYS_renameat2, from, old, to, new, flags);
}
int renameat(int from, const char *old, int to, const char *new) { return renameat2(from, old, to, new, 0); }
int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags)
{
    return fails_at("rename", to, new) ? -1 : syscall(SYS_linkat, from, old, to, new, flags);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }
int mkdirat(int base, const char *name, mode_t mode)
{
    return fails_at("mkdir", base, name) ? -1 : syscall(SYS_mkdirat, base, name, mode);
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
char *mkdtemp(char *name)
{
    return fails_at("mkdir", AT_FDCWD, name) ? NULL : ORIGINAL(char *, "mkdtemp", char *)(name);
}
