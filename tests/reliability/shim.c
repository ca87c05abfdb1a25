/* A library to be loaded first (LD_PRELOAD) that makes a system behave badly, as its environment asks:

   SHIM_CLOCK    seconds by which the clock jumps, forward and back, at every look
   SHIM_LATE     folder in which files are not seen that a process of another session has renamed or linked
                 there with SHIM_MARK set: a network file system that shows them late
*/
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)
#define BY "user.session"

static time_t jump(void) {
    static unsigned looks;
    const char *seconds = getenv("SHIM_CLOCK");
    return seconds ? (looks++ % 2 ? 1 : -1) * atol(seconds) : 0;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    REAL(clock_gettime);
    int failed = real(id, at);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += jump();
    return failed;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

static void mark(int folder, const char *name) {
    char path[PATH_MAX], session[32];
    if (!getenv("SHIM_MARK")) return;
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    snprintf(session, sizeof session, "%d", getsid(0));
    lsetxattr(folder == AT_FDCWD || *name == '/' ? name : path, BY, session, strlen(session), 0);
}

static int hidden(int folder, const char *name) {
    char path[PATH_MAX], whole[PATH_MAX], by[32] = "";
    const char *late = getenv("SHIM_LATE");
    if (!late || !name) return 0;
    int before = errno;
    if (*name == '/' || folder == AT_FDCWD) snprintf(path, sizeof path, "%s", name);
    else snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    int found = realpath(path, whole) && !strncmp(whole, late, strlen(late))
        && lgetxattr(whole, BY, by, sizeof by - 1) > 0 && atoi(by) != getsid(0);
    errno = before;
    return found;
}

#define HIDE(folder, name) if (hidden(folder, name)) { errno = ENOENT; return -1; }

#define MOVER(function, types, values, to, name) \
    int function types { REAL(function); int failed = real values; if (!failed) mark(to, name); return failed; }
MOVER(rename, (const char *a, const char *b), (a, b), AT_FDCWD, b)
MOVER(renameat, (int x, const char *a, int y, const char *b), (x, a, y, b), y, b)
MOVER(link, (const char *a, const char *b), (a, b), AT_FDCWD, b)
MOVER(linkat, (int x, const char *a, int y, const char *b, int f), (x, a, y, b, f), y, b)

#define OPENER(function) \
    int function(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        REAL(function); if (!(flags & O_CREAT)) HIDE(AT_FDCWD, path); return real(path, flags, mode); }
OPENER(open)
OPENER(open64)

#define OPENER_AT(function) \
    int function(int folder, const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        REAL(function); if (!(flags & O_CREAT)) HIDE(folder, path); return real(folder, path, flags, mode); }
OPENER_AT(openat)
OPENER_AT(openat64)

#define LOOKER(function, status) \
    int function(const char *path, struct status *found) { \
        REAL(function); HIDE(AT_FDCWD, path); return real(path, found); }
LOOKER(stat, stat)
LOOKER(lstat, stat)
LOOKER(stat64, stat64)
LOOKER(lstat64, stat64)

#define LOOKER_AT(function, status) \
    int function(int folder, const char *path, struct status *found, int flags) { \
        REAL(function); HIDE(folder, path); return real(folder, path, found, flags); }
LOOKER_AT(fstatat, stat)
LOOKER_AT(fstatat64, stat64)

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *found) {
    REAL(statx);
    HIDE(folder, path);
    return real(folder, path, flags, mask, found);
}

int access(const char *path, int how) {
    REAL(access);
    HIDE(AT_FDCWD, path);
    return real(path, how);
}

#define READER(function, entry) \
    struct entry *function(DIR *folder) { \
        REAL(function); struct entry *found; \
        do found = real(folder); while (found && hidden(dirfd(folder), found->d_name)); \
        return found; }
READER(readdir, dirent)
READER(readdir64, dirent64)
