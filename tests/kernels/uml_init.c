/* First process of User-mode Linux: loads the modules that it is given, then becomes the executor. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **words)
{
    char *program[] = {"/executor", "--output", "/observations", "/scenarios", NULL};

    for (int i = 1; i < count; i++) {
        int module = *words[i] == '/' ? open(words[i], O_RDONLY) : -1; /* the others are the kernel's own words */

        if (module >= 0 && syscall(SYS_finit_module, module, "", 0))
            perror(words[i]);
    }
    execv(*program, program);
    perror(*program);
    return 1;
}
