/* SPDX-License-Identifier: MIT */
#ifndef SLUICE_ATOMIC_H
#define SLUICE_ATOMIC_H
/*
 * Every access to memory that two endpoints share goes through here.
 *
 * A shared word is a `sluice_word`: 64 bits, lock-free, written by
 * exactly one endpoint. Payload is plain memory: it is copied by
 * sluice_priv_copy_in() and sluice_priv_copy_out(), and is ordered by
 * the words around it.
 *
 * A build that has to observe or fake these accesses (a model checker, a
 * fuzzer that acts as a hostile peer) defines
 * SLUICE_ATOMIC_HEADER as the name of a header with the same functions;
 * nothing else in the library needs to change. Such a build has no inline
 * assembly: cpu.h leaves it out.
 *
 * The ordering ledger: every edge between two parties
 * ---------------------------------------------------
 * "X -> Y" reads "what was done before X is seen by whoever has done Y".
 * The code names each edge at both ends: PUBLISH:store stands at X,
 * PUBLISH:load at Y, DOORBELL:fence at a barrier. Where an access that is
 * not relaxed takes part in no edge, "No edge:" gives the reason; where a
 * relaxed one crosses to another party, the comment says why that is
 * enough. tools/ledger, which is part of `ninja lint`, looks for both.
 *
 * PUBLISH  the producer's release store of the header word of the first
 *          record of a batch -> the consumer's acquire load of it.
 *          Protects the payload, the headers of the other records of
 *          the batch, and the zero in the header word behind the batch.
 *          Relaxed on either side: the consumer reads stale payload, or
 *          takes stale bytes behind the batch for a header.
 * RELEASE  the consumer's release store of its position -> the
 *          producer's acquire load of it. Protects the consumer's reads
 *          of the payload from being overtaken by the next lap's writes.
 *          Relaxed: a message changes while it is being read.
 * READY    the creator's release store of the magic -> anybody's acquire
 *          load of it at attach. Protects the geometry and the initial
 *          words. Relaxed: an opener sees a queue that is half made.
 * DOORBELL Dekker's pattern, once in each direction. The sleeper stores
 *          its parked word, executes a barrier, looks a last time at the
 *          word that it waits for, and sleeps. The waker stores that
 *          word, executes a barrier, and loads the parked word. At least
 *          one of them sees the other's store. The barrier is a full
 *          fence on both sides, or, when the waker is registered for it,
 *          a compiler barrier in the waker and membarrier(2) in the
 *          sleeper: the system call runs a full fence on every CPU that
 *          runs a registered process, at a point of that CPU's program
 *          order. If that point lies before the waker's load of the
 *          parked word, the load sees the sleeper's store, which was
 *          made before the call. If it lies behind it, then also behind
 *          the store of the awaited word, which comes earlier in program
 *          order, and the sleeper's last look, which is made after the
 *          call, sees that. Without the barrier on either side: both
 *          loads may be satisfied early, and the sleeper sleeps on a
 *          message that is there.
 * PROGRESS an endpoint's stores of a message count and then (release) of
 *          the position that it belongs to -> an acquire load of that
 *          position by an observer or a successor. Relaxed: a count that
 *          belongs to another position. A writer that is killed between
 *          the two leaves the older slot in force, because the newer one
 *          still bears its old position. The consumer stores both with each
 *          release. The producer does so now and then: whoever wants to know
 *          more walks the records behind the slot, which PUBLISH protects,
 *          and which are whole, because all of them fit into the ring at
 *          once. (So its successor depends on nothing that a consumer could
 *          have written, but on the records; a hostile one can spoil these,
 *          and with them count and position: -EBADMSG, or a wrong count.)
 * OBSERVE  what an endpoint stored before it began to write a slot again
 *          (release, of the count: the first store into the slot) -> an
 *          acquire load of that count by an observer, who meant to read
 *          the older one. A slot is written again only when the other one
 *          is in force: so the observer, who looks again at what put it
 *          into force (the consumer's position; the header word of what
 *          was published, and the other slot's position), finds it
 *          changed, and drops the count. Relaxed on either side: a count
 *          that belongs to a later position, with nothing to tell it by.
 *          (A successor does not need this: SUCCEED, nobody writes.)
 *          Besides, an observer who reads header words or payload at or
 *          behind a released position must not take the next lap's for
 *          this one's. The producer writes there only after RELEASE: the
 *          consumer's position is loaded with acquire, and the store
 *          comes later in program order. On machines where a store is
 *          seen by all others at once (x86, ARMv8, RISC-V) whoever sees
 *          the producer's store, and then loads the consumer's position,
 *          sees that it has moved on, and drops what it has loaded (which
 *          may be plain payload, and half of it old). The acquire of the header word, or
 *          for payload a full fence, orders the observer's two loads.
 * STATE    an endpoint's release store of its state word, at attach, at close
 *          and when it announces how it wakes -> the other endpoint's
 *          acquire load of it. Protects what the endpoint has set in its
 *          half before: a position that is closed no more, a parked word
 *          that is 0 again. The peer's load comes first of all that it asks
 *          about the other side, and again afterwards: two equal values say
 *          that what the kernel answered in between was about this holder.
 *          Relaxed: the kernel's answer about one holder is taken for the
 *          other's, and a close is reported as a death.
 * INTERRUPT the release store of the interrupt word by any thread that
 *          interrupts a call -> the acquire load of it by the call that
 *          answers -ECANCELED. Protects what that thread wrote before, the
 *          reason to stop. Relaxed: the caller looks for the reason, and
 *          does not find it.
 * ENDING   the store with which a new holder takes its predecessor's end
 *          back (the end record, the closed flag of the position) and
 *          then its release store of the state -> an acquire load of the
 *          state, before the load that finds an end. So an end that is
 *          found belongs to that holder or to a later one, never to an
 *          earlier one. In the other order: the end of a predecessor is
 *          reported as the new holder's, whose own is then not reported.
 * SUCCEED  everything that the previous holder of a role did -> what its
 *          successor reads of the same half. The kernel orders it: the
 *          role's semaphore is given up after the one's last store and
 *          taken before the other's first load. A successor consumer
 *          needs PUBLISH as well, although it may begin in the middle of
 *          a batch whose first header it never reads: its predecessor
 *          read that header (PUBLISH), then stored its position
 *          (RELEASE), which the successor has loaded with acquire.
 *
 * Between the threads of one process that use a group (src/group), beside the
 * edges above, which each of its members has:
 *
 * MEMBERS  an updater's release store of a link of the list of members -> the
 *          acquire load of it by whoever walks the list. Protects what the
 *          updater has stored in the member before. Relaxed: a member is
 *          served before its handle is complete.
 * CHANGES  an updater's release store of the count of changes, after it has
 *          changed the list -> the serving thread's acquire load of it, the
 *          first of each read-side section. Protects that change: a walk
 *          behind the load sees at least what the count counts. And it is
 *          what makes pointers to members that the serving thread keeps from
 *          one section to the next valid: the grace period of a member
 *          begins after the count was changed for it, so in a section that
 *          finds the count unchanged that grace period cannot have ended
 *          (RCU: had it begun before the section, the section would see all
 *          that came before it). Relaxed: the list is walked as it was, the
 *          count is taken as new, and the next section trusts a pointer to a
 *          member that is gone.
 *
 * Neither these nor RCU protect messages (PUBLISH, RELEASE do); the handle of a
 * member, and that of a channel's replies, which are the serving thread's, so
 * that others read of the queue what observers read; the names that a watch has
 * found, and what is retired, which are under the group's mutex; what the
 * program attaches to a member, which `forget` gives back last of all.
 *
 * The third edge is liburcu's own: all that was done in a read-side section
 * comes before what is done after a grace period that the section has
 * delayed. It protects the member and its mapping against their end.
 *
 * The fourth is a mutex's. Of several serving threads (src/group/share.c)
 * one leads, and alone touches the hot members and the epoll events. A
 * member passes from one thread to the next only by way of the leader: it
 * is taken by the thread that leads, and given back under the mutex under
 * which the lead passes, too. So what one thread did to a member's handle
 * and in its handler comes before what the next one does. It also makes
 * CHANGES, which a leader has seen, known to the next: a member that is
 * given back is not hot again if it is leaving, which is stored before
 * the change is counted; so a leader that trusts its hot members because
 * nothing has changed finds none there that was unlinked before. Without
 * the mutex on either side: two threads are in one member, or a hot
 * member is gone.
 */
#include <stdint.h>
#include <string.h>

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "sluice queues are little-endian: the futex is the low half of a 64-bit word"
#endif

#ifdef __cplusplus
#define SLUICE_STATIC_ASSERT(condition, message) static_assert(condition, message)
#else
#define SLUICE_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

/*
 * Around the code of each header: these are C headers, so a C++ user who
 * asks for such warnings gets none for a C cast, for one that says
 * nothing on a machine where both types are the same, or for NULL; nor
 * for a function that is marked noinline, and marked as perhaps
 * unused; nor, from clang 16 on, for arithmetic with pointers, and from
 * gcc none of the rules of "Effective C++". Macros that users write out themselves
 * (SLUICE_NOW) must do without casts.
 */
#if defined __clang__ && __clang_major__ >= 16
#define SLUICE_PRIV_MAY_COUNT _Pragma("clang diagnostic ignored \"-Wunsafe-buffer-usage\"")
#else
#define SLUICE_PRIV_MAY_COUNT
#endif
#if defined __cplusplus && defined __clang__
#define SLUICE_PRIV_BEGIN                                                                         \
        _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Wold-style-cast\"") \
                _Pragma("clang diagnostic ignored \"-Wzero-as-null-pointer-constant\"")           \
                        _Pragma("clang diagnostic ignored \"-Wused-but-marked-unused\"")          \
                                SLUICE_PRIV_MAY_COUNT
#define SLUICE_PRIV_END _Pragma("clang diagnostic pop")
#elif defined __cplusplus
#define SLUICE_PRIV_BEGIN                                                                     \
        _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wold-style-cast\"") \
                _Pragma("GCC diagnostic ignored \"-Wuseless-cast\"")                          \
                        _Pragma("GCC diagnostic ignored \"-Weffc++\"")
#define SLUICE_PRIV_END _Pragma("GCC diagnostic pop")
#elif defined __clang__
#define SLUICE_PRIV_BEGIN                                                        \
        _Pragma("clang diagnostic push")                                         \
                _Pragma("clang diagnostic ignored \"-Wused-but-marked-unused\"") \
                        SLUICE_PRIV_MAY_COUNT
#define SLUICE_PRIV_END _Pragma("clang diagnostic pop")
#else
#define SLUICE_PRIV_BEGIN
#define SLUICE_PRIV_END
#endif

SLUICE_PRIV_BEGIN

/* A call whose result says what no later call says again: that there is no
 * message, no room, no queue, or an end, which ends one wait. Not marked: what
 * is ignored for good reason (close, remove before a new start), and what
 * the next call answers likewise (commit, release of a poisoned handle). In
 * C, gcc takes (void) before the call for no answer. */
#ifdef __cplusplus
#define SLUICE_NODISCARD [[nodiscard]]
#else
#define SLUICE_NODISCARD __attribute__((warn_unused_result))
#endif

/* Before each public call that is inline. src/ffi.c defines SLUICE_FFI_SOURCE:
 * there each becomes a function of the library, under the same name, for
 * other languages and for dlsym(3). */
#ifdef SLUICE_FFI_SOURCE
#define SLUICE_INLINE __attribute__((visibility("default")))
#else
#define SLUICE_INLINE static inline
#endif

#define sluice_priv_likely(x)   __builtin_expect(!!(x), 1)
#define sluice_priv_unlikely(x) __builtin_expect(!!(x), 0)

#ifdef SLUICE_ATOMIC_HEADER
#include SLUICE_ATOMIC_HEADER
#else

#ifdef __cplusplus
#include <atomic>
typedef std::atomic<uint64_t> sluice_word;
#define sluice_priv_atomic(name) std::name
#else
#include <stdatomic.h>
/* Some compilers align it to 4 bytes on i386. */
typedef _Atomic uint64_t sluice_word __attribute__((aligned(8)));
#define sluice_priv_atomic(name) name
#endif

static inline uint64_t sluice_priv_load_relaxed(const sluice_word *word)
{
        return sluice_priv_atomic(atomic_load_explicit)(word,
                                                        sluice_priv_atomic(memory_order_relaxed));
}

static inline uint64_t sluice_priv_load_acquire(const sluice_word *word)
{
        return sluice_priv_atomic(atomic_load_explicit)(word,
                                                        sluice_priv_atomic(memory_order_acquire));
}

static inline void sluice_priv_store_relaxed(sluice_word *word, uint64_t value)
{
        sluice_priv_atomic(atomic_store_explicit)(word, value,
                                                  sluice_priv_atomic(memory_order_relaxed));
}

static inline void sluice_priv_store_release(sluice_word *word, uint64_t value)
{
        sluice_priv_atomic(atomic_store_explicit)(word, value,
                                                  sluice_priv_atomic(memory_order_release));
}

/* DOORBELL: the full fence of either side. */
static inline void sluice_priv_fence_full(void)
{
        sluice_priv_atomic(atomic_thread_fence)(sluice_priv_atomic(memory_order_seq_cst));
}

/* DOORBELL: what is left of the waker's fence when the sleeper pays for both. */
static inline void sluice_priv_fence_compiler(void)
{
        sluice_priv_atomic(atomic_signal_fence)(sluice_priv_atomic(memory_order_seq_cst));
}

/*
 * How payloads are copied: by plain moves. A string instruction (rep movs)
 * can take thirty times as long where the target's place in its page is
 * a few bytes behind the source's; and payloads begin 8 bytes behind a
 * cache line, buffers on one.
 *
 * gcc for x86 writes such an instruction for a length that it knows to be
 * more than 256 bytes, so that is hidden from it. glibc executes one for
 * more than its rep_movsb_threshold, by default 2,048 bytes or more on
 * every x86, so what is longer is copied in pieces of that length. Where
 * no length is slow, pieces cost nothing: a call is short beside 2 KiB.
 */
enum { SLUICE_PRIV_COPY_KNOWN = 256, SLUICE_PRIV_COPY_ONCE = 2048 };

static __attribute__((noinline, unused)) void
sluice_priv_copy_long(unsigned char *t, const unsigned char *f, size_t len)
{
        const volatile size_t hidden = SLUICE_PRIV_COPY_ONCE;
        const size_t once = hidden;

        for (; len > once; len -= once) {
                memcpy(t, f, once);
                t += once;
                f += once;
        }
        memcpy(t, f, len);
}

/* From 8 bytes to 64: in two moves, or four, which overlap. */
static inline void sluice_priv_copy_short(unsigned char *t, const unsigned char *f, size_t len)
{
        if (len <= 16) {
                memcpy(t, f, 8);
                memcpy(t + len - 8, f + len - 8, 8);
                return;
        }
        memcpy(t, f, 16);
        if (len > 32) {
                memcpy(t + 16, f + 16, 16);
                memcpy(t + len - 32, f + len - 32, 16);
        }
        memcpy(t + len - 16, f + len - 16, 16);
}

/* Short messages are copied in a few moves: a length that is known only at
 * run time costs a call, or a loop whose small stores the next reader of the
 * copy has to wait for. */
static inline void sluice_priv_copy(void *to, const void *from, size_t len)
{
        unsigned char *const t = (unsigned char *)to;
        const unsigned char *const f = (const unsigned char *)from;

        if (!__builtin_constant_p(len) && len >= 8 && len <= 64) {
                sluice_priv_copy_short(t, f, len);
        } else if (len > SLUICE_PRIV_COPY_ONCE) {
                sluice_priv_copy_long(t, f, len);
        } else if (__builtin_constant_p(len) && len > SLUICE_PRIV_COPY_KNOWN) {
                const volatile size_t hidden = len;

                memcpy(t, f, hidden);
        } else {
                memcpy(t, f, len);
        }
}

/* Payload, private to shared: before PUBLISH, after RELEASE. */
static inline void sluice_priv_copy_in(void *shared, const void *from, size_t len)
{
        sluice_priv_copy(shared, from, len);
}

/* Payload, shared to private: after PUBLISH, before RELEASE. The bytes
 * are the peer's: they may change while they are being copied, so they
 * are looked at only in the copy. */
static inline void sluice_priv_copy_out(void *to, const void *shared, size_t len)
{
        sluice_priv_copy(to, shared, len);
}

#endif /* SLUICE_ATOMIC_HEADER */

SLUICE_STATIC_ASSERT(sizeof(sluice_word) == 8, "a shared word is 64 bits on every machine");
SLUICE_STATIC_ASSERT(__alignof__(sluice_word) == 8, "a shared word never crosses a cache line");
SLUICE_STATIC_ASSERT(__GCC_ATOMIC_LLONG_LOCK_FREE == 2,
                     "this processor cannot load and store 64 bits at once");

SLUICE_PRIV_END

#endif
