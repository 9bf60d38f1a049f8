/* Preloaded: the time since the boot goes ahead by the seconds that the file BOOT_CLOCK holds. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef int gettime_fn(clockid_t id, struct timespec *out);

static long ahead(void)
{
    char text[32] = "";
    const char *path = getenv("BOOT_CLOCK");
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    if (file != NULL) {
        if (fgets(text, sizeof text, file) == NULL) {
            text[0] = '\0';
        }
        fclose(file);
    }
    return strtol(text, NULL, 10);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    gettime_fn *next;
    *(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
    int result = next(id, out);
    if (result == 0 && id == CLOCK_BOOTTIME) {
        out->tv_sec += ahead();
    }
    return result;
}
