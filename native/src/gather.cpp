// Rows put in another order: memory bound, so it is compiled once.
#include <string.h>

#include "../include/elman.h"
#include "threads.h"

void elman_gather(void* to, const void* from, int64_t from_bytes, const void* others, const int64_t* index, int64_t rows,
                  int64_t row_bytes, int32_t threads) {
    const auto part = [&](int rank, int ranks) {
        for (int64_t i = rows * rank / ranks; i < rows * (rank + 1) / ranks; i++) {
            const char* source = index[i] >= 0 ? (const char*)from + index[i] * from_bytes : (const char*)others + (-1 - index[i]) * row_bytes;
            memcpy((char*)to + i * row_bytes, source, row_bytes);
        }
    };
    // A thread more is not worth its call for what takes some microseconds.
    if (rows * row_bytes < 1 << 18) threads = 1;
    run_parallel(threads, part);
}
