/* The lowest descriptor that is free is the next to be opened, so three tries fill all gaps. */
#include "base/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

bool descriptors_open(void)
{
    int fd = STDIN_FILENO;
    while (fd >= 0 && fd <= STDERR_FILENO) {
        fd = open("/dev/null", O_RDONLY);
    }
    if (fd < 0) {
        return false;
    }
    close(fd);
    return true;
}
