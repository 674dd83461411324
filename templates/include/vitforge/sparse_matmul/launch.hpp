// SPDX-License-Identifier: Apache-2.0
// What a launch of the sparse matrix product is told: the registers, and the header of the matrix that lies in DDR.
#ifndef VITFORGE_SPARSE_MATMUL_LAUNCH_HPP
#define VITFORGE_SPARSE_MATMUL_LAUNCH_HPP

#include "vitforge/fetch.hpp"
#include "vitforge/job.hpp"

namespace vitforge {
namespace sparse_matmul {

// The registers, by the names that the driver has for them.
struct Launch {
    int matrix_beats;
    int head_beats;  // of these: header and keep mask
    int rows;        // of activations; 0 only fills the identity registers
};

// The header of a matrix, which any overlay of at least its size can run.
struct Matrix {
    bool sparse;  // 2:4: a step takes two k tiles
    bool wide;    // int32 sums leave, else requantised int8
    int inputs;   // of a row of activations as it arrives
    int steps;    // of the reduction, over the inputs that are kept
    int column_tiles;
    int words;  // of a row in the left memory
};

template <class C>
inline Matrix decode_matrix(const uint32 words[header_words]) {
#pragma HLS inline
    Matrix matrix;
    matrix.sparse = C::sparse && bit_of(words[0], 0);
    matrix.wide = bit_of(words[0], 1);
    matrix.inputs = low_half(words[1]);
    matrix.steps = high_half(words[1]);
    matrix.column_tiles = low_half(words[2]);
    matrix.words = high_half(words[2]);
    return matrix;
}

// Rows that are multiplied at a time: as many as half of the left memory holds, from row `first` on.
template <class C>
inline int block_rows(const Launch &launch, int first) {
#pragma HLS inline
    const int rest = launch.rows - first;
    return rest < 0 ? 0 : (rest < C::block_rows ? rest : C::block_rows);
}

// The head of the matrix to the process that needs the mask; its column tiles to the array, once a block of rows.
template <class C>
static void fetch_matrix(const Launch &launch, const ap_uint<C::beat_bits> *matrix,
                         hls::stream<ap_uint<C::beat_bits> > &head, hls::stream<ap_uint<C::beat_bits> > &tiles) {
    VITFORGE_PROCESS("fetch")
    const uint32 first = static_cast<uint32>(launch.rows > 0 ? launch.head_beats : 0);
    const Chunk mask = {0, first, chunk_blob, 0};
    const Chunk rest = {first, static_cast<uint32>(launch.matrix_beats) - first, chunk_blob, 0};
    burst<C::beat_bits>(matrix, mask, head);
fetch_block:
    for (int row = 0; row < launch.rows; row += C::block_rows) {
#pragma HLS loop_tripcount max=16
        burst<C::beat_bits>(matrix, rest, tiles);
    }
}

}  // namespace sparse_matmul
}  // namespace vitforge

#endif
