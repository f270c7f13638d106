// How threads divide the work of a window: by rows, which are columns of the batch, and where need be by units; and
// products over all steps by parts, for whoever is free.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace lstmlm {

struct Range {
    int64_t first, last;
};

// The part of `n` things that falls to `place` among `n_places`.
inline Range share(int64_t n, int64_t place, int64_t n_places) {
    return {n * place / n_places, n * (place + 1) / n_places};
}

// A thread's place: which rows it works on, and which units.
struct Place {
    int64_t row_group, n_row_groups, unit_group, n_unit_groups;

    // The thread's part of `n` things that all threads share.
    Range share_of(int64_t n) const {
        return share(n, row_group * n_unit_groups + unit_group, n_row_groups * n_unit_groups);
    }
};

// Things to be done in any order, a few neighbours at a time by the thread that is free first: one whose core is slower,
// or shared with another program, does fewer, and the others need not wait for it.
class alignas(64) Queue {
    static constexpr int64_t PARTS_OF_A_THREAD = 16;
    std::atomic<int64_t> n_taken = 0;

  public:
    template <class Work> void take(int64_t n, const Place& place, Work work) {
        const int64_t n_parts = PARTS_OF_A_THREAD * place.n_row_groups * place.n_unit_groups;
        for (int64_t part; (part = n_taken.fetch_add(1, std::memory_order_relaxed)) < n_parts;) {
            const Range some = share(n, part, n_parts);
            for (int64_t i = some.first; i < some.last; ++i) work(i);
        }
    }
};

// With fewer rows than these, a thread spends its time on reading matrices.
constexpr int64_t FEW_ROWS = 4;

// Threads share the rows as long as each gets a few of them and then need not wait for each other; the more threads
// there are beyond that, the finer the units are shared, and all wait for each other at every step.
template <class Work> void in_parallel(int64_t n_threads, int64_t n_rows, Work work) {
#ifdef _OPENMP
#pragma omp parallel num_threads(int(n_threads))
    {
        const int64_t n = omp_get_num_threads(), thread = omp_get_thread_num();  // fewer than asked for, under a limit
        int64_t n_row_groups = n;
        while (n_row_groups > 1 && (n % n_row_groups || n_rows < FEW_ROWS * n_row_groups)) --n_row_groups;
        const int64_t n_unit_groups = n / n_row_groups;
        work(Place{thread / n_unit_groups, n_row_groups, thread % n_unit_groups, n_unit_groups});
    }
#else
    work(Place{0, 1, 0, 1});
#endif
}

// For cells whose units need each other within a step: every thread has all units of its rows and never waits for
// another, so that few rows occupy few threads.
template <class Work> void in_parallel_by_rows(int64_t n_threads, int64_t n_rows, Work work) {
    in_parallel(std::clamp<int64_t>(n_rows / FEW_ROWS, 1, n_threads), n_rows, work);
}

// Wait for all threads; `needed` is the same in each.
inline void wait(bool needed = true) {
    if (needed) {
#pragma omp barrier
    }
}

}  // namespace lstmlm
