// SPDX-License-Identifier: Apache-2.0
// Stands in for the csim library of an accelerator: same C interface, logits a simple function of the image bytes.
// ROWS x ROW_BYTES bytes an image, WORDS logits; logits[c] = sum over rows r of (r + c + 1) * (sum of the row's bytes).
// Results of a GROUP of images lie LANES logits at a time: those of each image, then the next ones of each image.
#include <cstdio>
#include <cstring>
#include <unistd.h>

#include "vitforge_csim/runner_api.hpp"

#ifndef SLEEP_US
#define SLEEP_US 0
#endif
#ifndef EXTRA_RESULTS
#define EXTRA_RESULTS 0
#endif
#ifndef STACK_BYTES
#define STACK_BYTES 16
#endif
#ifndef FAULT
#define FAULT 0
#endif

#ifndef MAGIC
#define MAGIC 0x56495446u
#endif
#ifndef VERSION
#define VERSION 5u
#endif

static char error[128] = "";
static unsigned runs = 0;

static bool blob_is_there(const void* blob) { return std::memcmp(blob, "VITFORGE", 8) == 0; }

// A list that was never flushed still holds what fresh memory is poisoned with.
static bool list_is_there(const void* list) { return static_cast<const unsigned*>(list)[1] < 0x10000u; }

// Where logit `c` of an image belongs, among the results of `n_images`.
static int place(int image, int c, int n_images) {
    const int first = image / GROUP * GROUP;
    const int group = n_images - first < GROUP ? n_images - first : GROUP;
    return image < n_images ? first * WORDS + (c / LANES * group + image - first) * LANES + c % LANES : image * WORDS + c;
}

static long long fail(const char* text) {
    std::snprintf(error, sizeof error, "%s", text);
    return -1;
}

extern "C" const char* vitforge_sim_error() { return error; }

extern "C" long long vitforge_sim(const void* list_ln1, const void* list_nsa, const void* list_ln2, const void* list_nmp,
                                  const void* blob_ln1, const void* blob_nsa, const void* blob_ln2, const void* blob_nmp,
                                  const void* images, void* logits, int n_steps, int n_images, unsigned* magic,
                                  unsigned* version, unsigned* hash_lo, unsigned* hash_hi) {
    *magic = MAGIC;
    *version = VERSION;
    *hash_lo = HASH_LO;
    *hash_hi = HASH_HI;
    runs++;
    if (n_steps == 0) {
        return runs == 1 ? 0 : fail("static data survived a reload");
    }
    volatile char memory[STACK_BYTES];  // a kernel's on-chip memories
    memory[0] = memory[STACK_BYTES / 2] = memory[STACK_BYTES - 1] = 1;
    usleep(SLEEP_US);
    if (FAULT) {
        return fail("read from an empty stream");
    }
    if (!blob_is_there(blob_ln1) || !blob_is_there(blob_nsa) || !blob_is_there(blob_ln2) || !blob_is_there(blob_nmp)) {
        return fail("no blob in DDR");
    }
    if (!list_is_there(list_ln1) || !list_is_there(list_nsa) || !list_is_there(list_ln2) || !list_is_there(list_nmp)) {
        return fail("no chunk list in DDR");
    }
    const unsigned char* pixel = static_cast<const unsigned char*>(images);
    int* out = static_cast<int*>(logits);
    for (int image = 0; image < n_images + EXTRA_RESULTS; image++) {
        for (int c = 0; c < WORDS; c++) {
            int sum = 0;
            for (int r = 0; r < ROWS; r++) {
                for (int b = 0; b < ROW_BYTES; b++) {
                    sum += (r + c + 1) * pixel[r * ROW_BYTES + b];
                }
            }
            out[place(image, c, n_images)] = sum;
        }
        pixel += image + 1 < n_images ? ROWS * ROW_BYTES : 0;
    }
    return 1000LL * n_images;
}

extern "C" int vitforge_sim_start(const void* list_ln1, const void* list_nsa, const void* list_ln2, const void* list_nmp,
                                  const void* blob_ln1, const void* blob_nsa, const void* blob_ln2, const void* blob_nmp,
                                  const void* images, void* logits, int n_steps, int n_images, unsigned* magic,
                                  unsigned* version, unsigned* hash_lo, unsigned* hash_hi) {
    return vitforge_csim::beside(
        [=] {
            return vitforge_sim(list_ln1, list_nsa, list_ln2, list_nmp, blob_ln1, blob_nsa, blob_ln2, blob_nmp, images,
                                logits, n_steps, n_images, magic, version, hash_lo, hash_hi);
        },
        vitforge_sim_error);
}
