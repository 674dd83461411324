// SPDX-License-Identifier: Apache-2.0
// Stands in for the csim library of an A3 kernel: same C interface and packets, results a simple function of them.
// Result element j of a query is the sum over rows of (query . key row) * value[j], plus scale_mult * scale_shift, as far
// as it fits RESULT_BYTES. Candidates count m a query, kept counts threshold / 16, cycles are 10 a pair and 1 a load row.
#include <cstdio>
#include <cstring>
#include <unistd.h>
#include <vector>

#include "vitforge_csim/runner_api.hpp"

#ifndef SLEEP_US
#define SLEEP_US 0
#endif
#ifndef FAULT
#define FAULT 0
#endif
#ifndef EXTRA_BYTES
#define EXTRA_BYTES 0  // of the results, beyond what was asked for; may be negative
#endif
#ifndef MAGIC
#define MAGIC 0x56464133u
#endif
#ifndef VERSION
#define VERSION 1u
#endif

// Arguments in their order.
enum { OP, N, D, M, THRESHOLD, SCALE_MULT, SCALE_SHIFT, PAIRS, SINGLE_FROM, UNIT_MASK,
       STATUS, CANDIDATES, KEPT, CYCLES, IS_MAGIC, IS_VERSION, HASH_0, HASH_1 };

struct Unit {
    int n = 0, d = 0;
    std::vector<int> key, value;
};

static char error[160] = "";
static Unit units[UNITS];

static long long fail(const char* text) {
    std::snprintf(error, sizeof error, "%s", text);
    return -1;
}

static int beats(int elements, int bytes) { return (elements * bytes + BEAT_BYTES - 1) / BEAT_BYTES; }

static int code(const unsigned char* row, int j) {
    return ELEMENT_BYTES == 1 ? static_cast<signed char>(row[j]) : static_cast<short>(row[2 * j] | row[2 * j + 1] << 8);
}

static bool pad_is_zero(const unsigned char* row, int used, int all) {
    for (int i = used; i < all; i++) {
        if (row[i] != 0) {
            return false;
        }
    }
    return true;
}

// Every column must list each row once, by ascending code and, of equal ones, ascending row.
static bool sorted_is_right(const unsigned char* entries, const Unit& unit, int row_bytes) {
    for (int j = 0; j < unit.d; j++) {
        long long before = -(1LL << 40);
        for (int p = 0; p < unit.n; p++) {
            unsigned entry;
            std::memcpy(&entry, entries + p * row_bytes + 4 * j, 4);
            const int row = entry >> 16, value = static_cast<short>(entry & 0xffff);
            const long long rank = value * 65536LL + row;
            if (row >= unit.n || value != unit.key[row * unit.d + j] || rank <= before) {
                return false;
            }
            before = rank;
        }
    }
    return true;
}

static long long load(const unsigned char* in, unsigned* regs) {
    Unit unit;
    unit.n = regs[N];
    unit.d = regs[D];
    const int row = beats(unit.d, ELEMENT_BYTES) * BEAT_BYTES, entry_row = beats(unit.d, 4) * BEAT_BYTES;
    for (int r = 0; r < 2 * unit.n; r++, in += row) {
        if (!pad_is_zero(in, unit.d * ELEMENT_BYTES, row)) {
            return fail("a row is not padded with zeros");
        }
        for (int j = 0; j < unit.d; j++) {
            (r < unit.n ? unit.key : unit.value).push_back(code(in, j));
        }
    }
    if (APPROXIMATE && !sorted_is_right(in, unit, entry_row)) {
        return fail("the key is not sorted by columns");
    }
    if (regs[UNIT_MASK] == 0 || regs[UNIT_MASK] >> UNITS) {
        return fail("the load is for units that there are not");
    }
    for (int u = 0; u < UNITS; u++) {
        if (regs[UNIT_MASK] >> u & 1) {
            units[u] = unit;
        }
    }
    return unit.n;
}

static void attend(const Unit& unit, const unsigned char* query, unsigned char* result, const unsigned* regs) {
    for (int j = 0; j < unit.d; j++) {
        long long sum = static_cast<long long>(regs[SCALE_MULT]) * regs[SCALE_SHIFT];
        for (int r = 0; r < unit.n; r++) {
            long long dot = 0;
            for (int k = 0; k < unit.d; k++) {
                dot += code(query, k) * unit.key[r * unit.d + k];
            }
            sum += dot * unit.value[r * unit.d + j];
        }
        std::memcpy(result + j * RESULT_BYTES, &sum, RESULT_BYTES);
    }
}

static long long query(const unsigned char* in, unsigned char* out, unsigned* regs) {
    const int d = regs[D], row = beats(d, ELEMENT_BYTES) * BEAT_BYTES, result_row = beats(d, RESULT_BYTES) * BEAT_BYTES;
    for (unsigned p = 0; p < regs[PAIRS]; p++) {
        const Unit& unit = units[p % UNITS];
        if (unit.n != static_cast<int>(regs[N]) || unit.d != d) {
            return fail("a query goes to a unit that does not hold such a key");
        }
        for (int lane = 0; lane < (p < regs[SINGLE_FROM] ? 2 : 1); lane++, in += row, out += result_row) {
            if (!pad_is_zero(in, d * ELEMENT_BYTES, row)) {
                return fail("a query is not padded with zeros");
            }
            attend(unit, in, out, regs);
            regs[CANDIDATES] += regs[M];
            regs[KEPT] += regs[THRESHOLD] >> 4;
        }
    }
    return 10 * regs[PAIRS];
}

extern "C" const char* vitforge_sim_error() { return error; }

extern "C" long long vitforge_sim(const void* in, long long in_bytes, void* out, long long capacity, long long* out_bytes,
                                  unsigned* regs) {
    regs[IS_MAGIC] = MAGIC;
    regs[IS_VERSION] = VERSION;
    regs[HASH_0] = HASH_LO;
    regs[HASH_1] = HASH_HI;
    for (int i = STATUS; i <= CYCLES; i++) {
        regs[i] = 0;
    }
    *out_bytes = 0;
    if (regs[OP] == 0) {
        return in_bytes == 0 ? 0 : fail("a packet came with nothing to do");
    }
    usleep(SLEEP_US);
    if (FAULT || in_bytes % BEAT_BYTES != 0) {
        return fail("read from an empty stream");
    }
    const int d = regs[D], row = beats(d, ELEMENT_BYTES) * BEAT_BYTES;
    const int vectors = regs[PAIRS] + regs[SINGLE_FROM];
    const long long expected =
        regs[OP] == 1 ? regs[N] * (2LL * row + APPROXIMATE * beats(d, 4) * BEAT_BYTES) : 1LL * vectors * row;
    std::vector<unsigned char> packet(expected);
    std::memcpy(packet.data(), in, in_bytes < expected ? in_bytes : expected);
    regs[STATUS] = (in_bytes < expected ? 1 : 0) | (in_bytes > expected ? 2 : 0);
    if (regs[OP] == 1) {
        const long long cycles = regs[STATUS] & 1 ? 0 : load(packet.data(), regs);
        return cycles < 0 ? cycles : (regs[CYCLES] = cycles);
    }
    *out_bytes = 1LL * vectors * beats(d, RESULT_BYTES) * BEAT_BYTES;
    std::vector<unsigned char> results(*out_bytes);
    const long long cycles = query(packet.data(), results.data(), regs);
    std::memcpy(out, results.data(), *out_bytes);
    *out_bytes += EXTRA_BYTES;
    return *out_bytes > capacity ? fail("no room for the results") : cycles < 0 ? cycles : (regs[CYCLES] = cycles);
}

extern "C" int vitforge_sim_start(const void* in, long long in_bytes, void* out, long long capacity, long long* out_bytes,
                                  unsigned* regs) {
    return vitforge_csim::beside([=] { return vitforge_sim(in, in_bytes, out, capacity, out_bytes, regs); },
                                 vitforge_sim_error);
}
