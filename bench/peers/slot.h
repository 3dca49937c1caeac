/* SPDX-License-Identifier: MIT */
/* The element type of queues that are templates. */
#include <cstring>

#include "rings.h"

template <size_t MAX, int MIX> struct slot {
        unsigned char bytes[MAX];
};

/* Of the mix, only the bytes in use are copied. */
template <size_t MAX> struct slot<MAX, 1> {
        unsigned char bytes[MAX];
        slot() = default;
        slot(const slot &from)
        {
                take(from);
        }
        slot &operator=(const slot &from)
        {
                take(from);
                return *this;
        }

      private:
        void take(const slot &from)
        {
                std::memcpy(bytes, from.bytes,
                            *reinterpret_cast<const payload_word *>(from.bytes) + 8);
        }
};

template <size_t MAX, int MIX> inline const slot<MAX, MIX> &as_slot(const void *msg)
{
        return *static_cast<const slot<MAX, MIX> *>(msg);
}

template <size_t MAX, int MIX> inline slot<MAX, MIX> &as_slot(void *msg)
{
        return *static_cast<slot<MAX, MIX> *>(msg);
}
