// Part of a kernel: see simd.h for why nothing here is shared.
#pragma once
#include <stdint.h>
#include <stdlib.h>

namespace {

// A list that grows. Not std::vector, whose code would be shared between instruction sets.
template <class T>
class List {
public:
    List() = default;
    List(const List&) = delete;
    List& operator=(const List&) = delete;
    ~List() { free(data_); }

    void push_back(T value) {
        if (count_ == room_) {
            room_ = room_ ? 2 * room_ : 16;
            data_ = (T*)realloc(data_, room_ * sizeof(T));
        }
        data_[count_++] = value;
    }
    T operator[](int64_t i) const { return data_[i]; }

private:
    T* data_ = nullptr;
    int64_t count_ = 0, room_ = 0;
};

}  // namespace
