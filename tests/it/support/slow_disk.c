/* Stands between a program and fdatasync(2) and fsync(2): does what the file named by DRAWBRIDGE_TEST_DISK says at
   that moment ("eio": it fails, "slow 5000": it takes five seconds more), and nothing without it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int trouble(void) {
    const char *path = getenv("DRAWBRIDGE_TEST_DISK");
    char text[64] = "";
    FILE *file = path ? fopen(path, "r") : NULL;
    int ms = 0;
    if (!file) return 0;
    if (!fgets(text, sizeof text, file)) text[0] = 0;
    fclose(file);
    if (strncmp(text, "eio", 3) == 0) {
        errno = EIO;
        return -1;
    }
    if (sscanf(text, "slow %d", &ms) == 1) usleep((useconds_t)ms * 1000);
    return 0;
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    return trouble() ? -1 : real(fd);
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    return trouble() ? -1 : real(fd);
}
