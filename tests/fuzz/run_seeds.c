// This file is part of rnnpool. MIT licence, see LICENSE.
//
// Runs the fuzzer's target on the files named on the command line, once each, and fails for a seed-* that runs no model: it
// would teach the fuzzer nothing. For `make coverage`, and for a finding without libFuzzer.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern unsigned int fuzz_models; // run so far
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t input[1 << 20];

int main(int argc, char **argv) {
    int idle = 0;
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 2;
        }
        size_t size = fread(input, 1, sizeof(input), file);
        fclose(file);
        unsigned int before = fuzz_models;
        LLVMFuzzerTestOneInput(input, size);
        if (fuzz_models == before && strstr(argv[i], "seed-") != NULL) {
            fprintf(stderr, "run_seeds: %s runs no model\n", argv[i]);
            idle++;
        }
    }
    printf("%d files, %d models do not run\n", argc - 1, idle);
    return idle > 0;
}
