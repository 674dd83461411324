// SPDX-License-Identifier: Apache-2.0
// Runs a simulation beside its caller, in a thread of its own: C functions, and `beside` for those that start a run.
// Include in one source. No lock of the caller's language is involved, so that a short run costs next to nothing more.
#ifndef VITFORGE_CSIM_RUNNER_API_HPP
#define VITFORGE_CSIM_RUNNER_API_HPP

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace vitforge_csim {

// One thread, which starts with the first run. Only one run may go on at a time.
class Runner {
  public:
    typedef std::function<long long()> Run;
    typedef const char *(*Message)();

    // `message` is called in the thread after the run. False if there can be no thread.
    bool start(Run run, Message message) {
        const std::lock_guard<std::mutex> lock(mutex_);
        run_ = std::move(run);
        read_message_ = message;
        ended_ = 0;
        if (!is_alive_ && !begin_thread()) {  // one that is told to stop still takes this run
            ended_ = 1;
            return false;
        }
        is_posted_ = true;
        changed_.notify_one();
        return true;
    }

    // A run is near: the thread comes up for it, and stays awake for a moment.
    void expect() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (is_alive_ && !is_expecting_) {
            is_expecting_ = true;
            changed_.notify_one();
        }
    }

    // The thread ends, after a run that goes on; `waits` for that.
    void stop(bool waits) {
        std::unique_lock<std::mutex> lock(mutex_);
        stops_ = true;
        changed_.notify_one();
        if (waits && is_joinable_) {
            is_joinable_ = false;
            const pthread_t thread = thread_;
            lock.unlock();
            pthread_join(thread, nullptr);
        }
    }

    // Becomes 1 at the end of a run.
    const std::atomic<int> &ended() const { return ended_; }

    // Of the run that has ended.
    long long result(const char **message) const {
        std::atomic_thread_fence(std::memory_order_acquire);
        *message = message_.c_str();
        return result_;
    }

  private:
    bool begin_thread() {
        const std::size_t stack_bytes = std::size_t(256) << 20;  // reserved: kernels keep their memories on it
        if (is_joinable_) {
            pthread_join(thread_, nullptr);  // of one that has stopped
        }
        stops_ = false;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, stack_bytes);
        is_alive_ = is_joinable_ = pthread_create(&thread_, &attributes, serve, this) == 0;
        pthread_attr_destroy(&attributes);
#ifdef __linux__
        if (is_alive_) {
            pthread_setname_np(thread_, "vitforge-sim");
        }
#endif
        return is_alive_;
    }

    static void *serve(void *runner) {
        static_cast<Runner *>(runner)->serve_runs();
        return nullptr;
    }

    void serve_runs() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (is_posted_ || !stops_) {
            if (is_posted_) {
                is_posted_ = false;
                is_expecting_ = true;  // the next one, which mostly follows at once
                lock.unlock();
                result_ = run_();
                message_ = read_message_();
                ended_.store(1, std::memory_order_release);
                lock.lock();
            } else if (is_expecting_) {
                lock.unlock();
                spin();
                lock.lock();
                is_expecting_ = false;
            } else {
                changed_.wait(lock);
            }
        }
        is_alive_ = false;
    }

    void spin() const {
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(500);
        while (!is_posted_ && !stops_ && std::chrono::steady_clock::now() < end) {
            std::this_thread::yield();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    pthread_t thread_ = pthread_t();
    bool is_joinable_ = false;
    bool is_alive_ = false;
    bool is_expecting_ = false;
    std::atomic<bool> is_posted_{false};
    std::atomic<bool> stops_{false};
    Run run_;
    Message read_message_ = nullptr;
    std::atomic<int> ended_{1};
    long long result_ = 0;
    std::string message_;
};

// One for each library. Never destroyed: its thread may still wait, or run, when the process ends.
static Runner &runner() {
    static Runner *const only = new Runner;
    return *only;
}

// 0 if `run` has started; -1 if there is no memory for a thread.
static int beside(Runner::Run run, Runner::Message message) {
    return runner().start(std::move(run), message) ? 0 : -1;
}

}  // namespace vitforge_csim

extern "C" {

void vitforge_runner_expect() { vitforge_csim::runner().expect(); }

const void *vitforge_runner_ended() { return &vitforge_csim::runner().ended(); }

long long vitforge_runner_result(const char **message) { return vitforge_csim::runner().result(message); }

void vitforge_runner_stop(int waits) { vitforge_csim::runner().stop(waits != 0); }

}  // extern "C"

#endif
