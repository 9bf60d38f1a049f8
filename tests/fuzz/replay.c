/*
 * A fuzz target without libFuzzer, and compiled as everything else is: it is given the files that
 * its arguments name, those of a folder for the folder, and each is a test by its own name. Check
 * starts a process for each, so one that is a finding is one that has failed.
 */
#include <check.h>
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

/* Not every target has one. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* The sanitizer's. */
void __lsan_do_leak_check(void) __attribute__((weak));

enum { FILES = 1000, SECONDS = 60 };

static char *files[FILES];
static TTest tests[FILES];
static size_t count;
static char *program;

/* Of memory that is exactly as long, so that a sanitizer sees who reads on. */
static uint8_t *read_file(const char *path, size_t *size)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    require(file != NULL && fstat(fileno(file), &status) == 0);
    *size = (size_t)status.st_size;
    uint8_t *octets = malloc(*size);
    require((octets != NULL || *size == 0) && fread(octets, 1, *size, file) == *size);
    fclose(file);
    return octets;
}

static void test_file(int at)
{
    char *arguments[] = {program, NULL};
    char **argv = arguments;
    int argc = 1;
    size_t size;
    uint8_t *octets = read_file(files[at], &size);
    if (LLVMFuzzerInitialize != NULL) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    LLVMFuzzerTestOneInput(octets, size);
    free(octets);
    /* As long as a library's threads have what is theirs: at the end OpenSSL forgets it. */
    if (__lsan_do_leak_check != NULL) {
        __lsan_do_leak_check();
    }
}

static void add_file(const char *path)
{
    const char *slash = strrchr(path, '/');
    require(count < FILES);
    files[count] = strdup(path);
    require(files[count] != NULL);
    size_t name = slash != NULL ? (size_t)(slash + 1 - path) : 0;
    tests[count] = (TTest){files[count] + name, test_file, __FILE__, __LINE__};
    count++;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* True where it is a folder. */
static bool add_folder(const char *path)
{
    struct dirent **entries = NULL;
    char *file = NULL;
    int entry_count = scandir(path, &entries, is_visible, alphasort);
    for (int i = 0; i < entry_count; i++) {
        require(asprintf(&file, "%s/%s", path, entries[i]->d_name) > 0);
        add_file(file);
        free(file);
        free(entries[i]);
    }
    free(entries);
    return entry_count >= 0;
}

int main(int argc, char **argv)
{
    program = argv[0];
    for (int i = 1; i < argc; i++) {
        if (!add_folder(argv[i])) {
            add_file(argv[i]);
        }
    }
    if (count == 0) {
        fprintf(stderr, "usage: %s FILE|FOLDER...\n", program);
        return EXIT_FAILURE;
    }
    Suite *suite = suite_create("replay");
    TCase *tcase = tcase_create("seeds");
    tcase_set_timeout(tcase, SECONDS);
    for (size_t i = 0; i < count; i++) {
        tcase_add_loop_test(tcase, &tests[i], (int)i, (int)i + 1);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    for (size_t i = 0; i < count; i++) {
        free(files[i]);
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
