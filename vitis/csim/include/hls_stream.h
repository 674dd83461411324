// SPDX-License-Identifier: Apache-2.0
// hls::stream for C simulation. A read of an empty stream is an error that names it; tokens left when a stream
// dies are recorded, and the caller of the kernel reports them.
#ifndef VITFORGE_CSIM_HLS_STREAM_H
#define VITFORGE_CSIM_HLS_STREAM_H

#define VITFORGE_CSIM_HEADERS 1

#include <cstddef>
#include <string>
#include <vector>

#include "vitforge_csim/fault.hpp"
#ifdef VITFORGE_TRACE
#include "vitforge_csim/trace.hpp"
#define VITFORGE_STREAM_READ trace_.read();
#define VITFORGE_STREAM_WRITE trace_.write();
#else
#define VITFORGE_STREAM_READ
#define VITFORGE_STREAM_WRITE
#endif

namespace hls {

template <class T>
class stream {
  public:
    stream() : stream("(unnamed)") {}
#ifdef VITFORGE_TRACE
    explicit stream(const char *name) : name_(name), head_(0), trace_(name_) {}
#else
    explicit stream(const char *name) : name_(name), head_(0) {}
#endif
    stream(const stream &) = delete;
    stream &operator=(const stream &) = delete;

    ~stream() {
        if (!empty()) {
            vitforge_csim::record_leftover("stream " + name_ + " still holds " + std::to_string(size()) +
                                           " tokens at its end");
        }
    }

    bool empty() const { return head_ == tokens_.size(); }
    bool full() const { return false; }
    std::size_t size() const { return tokens_.size() - head_; }

    T read() {
        if (empty()) {
            throw vitforge_csim::Fault("read from empty stream " + name_);
        }
        VITFORGE_STREAM_READ
        const T token = tokens_[head_++];
        reclaim();
        return token;
    }
    void read(T &token) { token = read(); }
    bool read_nb(T &token) {
        if (empty()) {
            return false;
        }
        token = read();
        return true;
    }
    void write(const T &token) {
        VITFORGE_STREAM_WRITE
        tokens_.push_back(token);
    }
    bool write_nb(const T &token) {
        write(token);
        return true;
    }
    void operator>>(T &token) { token = read(); }
    void operator<<(const T &token) { write(token); }

  private:
    // An emptied stream starts over; a long-lived one gives back what was read, in amortised constant time.
    void reclaim() {
        if (head_ == tokens_.size()) {
            tokens_.clear();
            head_ = 0;
        } else if (head_ >= 64 && 2 * head_ >= tokens_.size()) {
            tokens_.erase(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(head_));
            head_ = 0;
        }
    }

    std::string name_;
    std::vector<T> tokens_;
    std::size_t head_;
#ifdef VITFORGE_TRACE
    vitforge_csim::TracedStream trace_;
#endif
};

}  // namespace hls

#undef VITFORGE_STREAM_READ
#undef VITFORGE_STREAM_WRITE

#endif
