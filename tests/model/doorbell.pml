/* SPDX-License-Identifier: MIT */
/*
 * doorbell.pml: sleeping and waking, with store buffers. Property: nobody
 * sleeps on what is there. doc/model.md says what is modelled and what
 * not; tests/model/run lists the configurations and the omissions.
 *
 * A configuration
 *   MB_P, MB_C      1: this endpoint is registered with membarrier(2),
 *                   wakes without a fence, and calls membarrier itself
 *   MIXED           each holder of a role is registered or not, as it likes
 *   FIFO_P, FIFO_C  1: this endpoint sleeps on its pipe, 0: by futex
 *   TOTAL           end of the last message, in units
 *   ROOM            units of the ring that records can take
 *   FAIR            "a quarter of the ring", in units
 *   BIG             length in units of the message at position 1
 *   LEAVES          so often somebody is killed, or closes and is succeeded
 *   HOLDS           the consumer may keep one message while it waits for more
 *   POLLS           the consumer asks again and again, and never parks
 *   KERNEL_FENCE    futex(FUTEX_WAIT) begins with a full fence
 *   NO_PARKED_COMPARE  a producer's futex_waitv(2) does not compare the
 *                   consumer's parked word with what its last look found
 * An omission is one of the macros below: 1: the producer leaves the step
 * out (or does what the macro says), 2: the consumer, 3: both.
 */
#ifndef MB_P
#define MB_P 0
#endif
#ifndef MB_C
#define MB_C 0
#endif
#ifndef FIFO_P
#define FIFO_P 0
#endif
#ifndef FIFO_C
#define FIFO_C 0
#endif
#ifndef TOTAL
#define TOTAL 3
#endif
#ifndef ROOM
#define ROOM 2
#endif
#ifndef FAIR
#define FAIR 1
#endif
#ifndef BIG
#define BIG 1
#endif
#ifndef LEAVES
#define LEAVES 0
#endif

/* Omissions of the waker */
#ifndef NO_WAKER_FENCE
#define NO_WAKER_FENCE 0
#endif
#ifndef NO_REGISTRATION
#define NO_REGISTRATION 0
#endif
#ifndef NO_COMPARE
#define NO_COMPARE 0
#endif
#ifndef NO_ANSWERED
#define NO_ANSWERED 0
#endif
#ifndef NO_FUTEX_WAKE
#define NO_FUTEX_WAKE 0
#endif
#ifndef NO_BYTE
#define NO_BYTE 0
#endif
#ifndef NO_FENCE_IN_WAKE
#define NO_FENCE_IN_WAKE 0
#endif
#ifndef NO_CLOSE_WAKE
#define NO_CLOSE_WAKE 0
#endif
#ifndef NO_CLOSE_FENCE
#define NO_CLOSE_FENCE 0
#endif
#ifndef CLOSE_ASKS_DUE
#define CLOSE_ASKS_DUE 0
#endif
#ifndef NO_JOIN_WAKE
#define NO_JOIN_WAKE 0
#endif
#ifndef NO_JOIN_FENCE
#define NO_JOIN_FENCE 0
#endif
#ifndef JOIN_ANSWERS
#define JOIN_ANSWERS 0
#endif
#ifndef ANSWERED_INHERITED
#define ANSWERED_INHERITED 0
#endif
#ifndef NO_NUDGE
#define NO_NUDGE 0
#endif
#ifndef NUDGE_ANSWERS
#define NUDGE_ANSWERS 0
#endif
/* Omissions of the sleeper */
#ifndef NO_SLEEPER_FENCE
#define NO_SLEEPER_FENCE 0
#endif
#ifndef NO_MEMBARRIER
#define NO_MEMBARRIER 0
#endif
#ifndef NO_SHORT_SLICES
#define NO_SHORT_SLICES 0
#endif
#ifndef NO_SHORT_ARM
#define NO_SHORT_ARM 0
#endif
#ifndef NOT_CONTENT_PARKING
#define NOT_CONTENT_PARKING 0
#endif
#ifndef NOT_CONTENT_WOKEN
#define NOT_CONTENT_WOKEN 0
#endif
#ifndef NO_LAST_LOOK
#define NO_LAST_LOOK 0
#endif
#ifndef NO_KERNEL_CHECK
#define NO_KERNEL_CHECK 0
#endif
#ifndef NO_POSITION
#define NO_POSITION 0
#endif
#ifndef NO_CAP
#define NO_CAP 0
#endif
#ifndef DRAIN_AFTER_LOOK
#define DRAIN_AFTER_LOOK 0
#endif
#ifndef NO_UNPARK
#define NO_UNPARK 0
#endif
#ifndef NO_PARKED_RESET
#define NO_PARKED_RESET 0
#endif

#define P 0 /* the producer: wakes the consumer, sleeps for room */
#define C 1 /* the consumer: wakes the producer, sleeps for a message */
#define OTHER(s) (1 - (s))
#define LACKS(omission, s) (((omission) >> (s)) & 1)
#define FIFO(s) (((s) == P -> FIFO_P : FIFO_C))
#define MB(s) (((s) == P -> MB_P : MB_C))

/* ---- The shared memory (layout.h), every word with one writer ------ */

/* 0 .. TOTAL: header words by position; the ring never wraps here. */
#define POSITION (TOTAL + 1)        /* the consumer's: position * 2 + closed */
#define PARKED(s) (TOTAL + 2 + (s)) /* doorbell.parked: awaited * 4 + flags */
#define STATE(s) (TOTAL + 4 + (s))  /* doorbell.state: only FENCELESS */
#define WORDS (TOTAL + 6)
byte mem[WORDS];

#define NOTHING 0 /* a header word; else the length of a data record, or END */
#define END 3
#define LENGTH(at) (((at) == 1 -> BIG : 1))

#define ASLEEP 1 /* SLUICE_LAYOUT_PARKED */
#define BY_FIFO 2
#define AWAITED(parked) ((parked) / 4)

/* ---- Store buffers ------------------------------------------------- */

/* No endpoint loads a word that it stores itself while it runs, so a
 * load never finds its value in the buffer of its own side. */
chan buffer[2] = [3] of { byte, byte };

#define store(s, word, value) buffer[s]!word, value
#define fence(s) empty(buffer[s])

/* Every store becomes visible some time; one to a parked word may
 * overtake those before it. */
proctype drain(byte s)
{
        byte word, value;

end:    do
        :: d_step { buffer[s]?word, value -> mem[word] = value; word = 0; value = 0 }
        :: d_step { buffer[s]??eval(PARKED(s)), value -> mem[PARKED(s)] = value; value = 0 }
        od
}

/* ---- What the kernel knows ----------------------------------------- */

bit registered[2]; /* membarrier(2) reaches this side */
bit asleep[2];     /* in the futex queue, or in poll(2) */
byte pipe[2];      /* bytes in the pipe that this side sleeps on */
bit held[2];       /* the role is */
bit killed[2];     /* its holder has no further step */

/* ---- For the property ---------------------------------------------- */

bit fenceless[2]; /* the present holder wakes without a fence */
bit busy[2];      /* in a call that changes what the peer awaits, or joining; not yet at
                   * the end of its doorbell check and the wake-up that follows from it */
bit dead[2];      /* was killed, and no successor has finished joining */
bit brief[2];     /* sleeps in slices of a millisecond: must_slice_short() */
byte awaited[2];  /* struct sluice_priv_await.position */
byte enough;      /* the same of the producer: less, but all that it needs */
byte leaves = LEAVES;

#define ROOM_IN(word) (((word) & 1) || (word) / 2 >= awaited[P])
#define ENOUGH_IN(word) ((word) / 2 >= enough)

/* is_ready(), when the awaited word has been loaded: a producer is content
 * with what it needs while the consumer is parked. */
#define CONTENT(word) (ENOUGH_IN(word) && (mem[PARKED(C)] & ASLEEP))
#define READY(s, word, omission) \
        (((s) == C -> (word) != NOTHING : \
                      ROOM_IN(word) || (!LACKS(omission, P) && CONTENT(word))))

/* What should have ended the sleep. The consumer that sleeps may keep
 * what it has not released. */
#define THERE(s) \
        (((s) == C -> mem[awaited[C] - 1] != NOTHING : \
                      ROOM_IN(mem[POSITION]) || (asleep[C] && ENOUGH_IN(mem[POSITION]))))

/* A byte in the pipe ends the sleep. */
#define SLEEPS(s) (asleep[s] && !brief[s] && !(FIFO(s) && pipe[s] > 0))
#define DONE(s) (!busy[s] && !dead[s])

/* No look at the clock here: that a time-out would end the sleep is no
 * excuse. A waker that was killed is one, until its successor has joined:
 * then the sleeper learns of it by its slice, or by the hang-up of its pipe. */
proctype monitor()
{
end:    atomic {
                if
                :: SLEEPS(C) && THERE(C) && DONE(P) ->
                        printf("the consumer sleeps on a message that is there\n")
                :: SLEEPS(P) && THERE(P) && DONE(C) ->
                        printf("the producer sleeps on room that is there\n")
                :: SLEEPS(P) && SLEEPS(C) && empty(buffer[P]) && empty(buffer[C]) ->
                        printf("each sleeps until the other does something\n")
                fi;
                assert(false)
        }
}

/* SIGKILL between any two steps. What is in the store buffer gets out;
 * the kernel gives the role back after that (SUCCEED). */
#define kill(s) \
        leaves > 0 && held[s] && !killed[s] -> \
        leaves--; killed[s] = 1; dead[s] = 1; busy[s] = 0; asleep[s] = 0; brief[s] = 0

proctype killer()
{
end:    do
        :: atomic { kill(P) }
        :: atomic { kill(C) }
        od
}

/* ---- Waking -------------------------------------------------------- */

/* The futex word of the producer is the position, that of the consumer is
 * the header word that its parked word names. */
#define ON_THAT_WORD(s, parked) \
        (asleep[OTHER(s)] && !FIFO(OTHER(s)) && ((s) == C || LACKS(NO_POSITION, OTHER(s)) || \
                              AWAITED(parked) == awaited[OTHER(s)]))

/* futex_wake(), or sluice_priv_fifo_ring() with what
 * sluice_priv_fifo_ring_once() puts before it if `rang`, which is `rings`
 * from then on. The kernel runs a full fence before it looks for sleepers
 * (futex), and takes a lock that whoever drains the pipe takes after it. */
inline ring(s, parked, rings)
{
        atomic {
                LACKS(NO_FENCE_IN_WAKE, s) || fence(s);
                if
                :: (parked & BY_FIFO) && !(rang && pipe[OTHER(s)] > 0)
                :: (parked & BY_FIFO) && rang && pipe[OTHER(s)] > 0 -> parked = 0
                :: !(parked & BY_FIFO) ->
                        asleep[OTHER(s)] = (!LACKS(NO_FUTEX_WAKE, s) && ON_THAT_WORD(s, parked) ->
                                            0 : asleep[OTHER(s)]);
                        parked = 0
                fi
        };
        atomic {
                if
                :: parked && !LACKS(NO_BYTE, s) && pipe[OTHER(s)] < 2 ->
                        pipe[OTHER(s)] = pipe[OTHER(s)] + 1
                :: else
                fi;
                parked = 0; rang = rings; busy[s] = 0; dead[s] = 0
        }
}

#define NEW(s, parked) ((parked) != answered || LACKS(NO_ANSWERED, s))
#define REACHED(s, parked, position) \
        ((position) >= AWAITED(parked) || LACKS(NO_COMPARE, s) || \
         LACKS(NO_POSITION, OTHER(s)))
#define DUE(s, parked, position) \
        (((parked) & ASLEEP) && NEW(s, parked) && REACHED(s, parked, position))

/* sluice_priv_doorbell_due(), then sluice_priv_wake(): after PUBLISH and RELEASE. */
inline doorbell(s, reached)
{
        atomic {
                LACKS(NO_WAKER_FENCE, s) || fenceless[s] || fence(s);
                parked = mem[PARKED(OTHER(s))];
                if
                :: DUE(s, parked, reached) -> answered = parked
                :: else -> parked = 0; busy[s] = 0; goto past_doorbell
                fi
        };
        ring(s, parked, 0)
}

/* ---- Sleeping ------------------------------------------------------ */

/* sleeper_barrier(). membarrier(2) begins with a full fence of its own;
 * the other side's comes at some later moment, if it is registered. */
inline sleeper_barrier(s)
{
        LACKS(NO_SLEEPER_FENCE, s) || fence(s);
        if
        :: fenceless[s] && !LACKS(NO_MEMBARRIER, s) ->
                fence(s);
                d_step {
                        do
                        :: registered[OTHER(s)] && nempty(buffer[OTHER(s)]) ->
                                buffer[OTHER(s)]?parked, value;
                                mem[parked] = value
                        :: !registered[OTHER(s)] || empty(buffer[OTHER(s)]) -> break
                        od;
                        parked = 0; value = 0
                }
        :: else
        fi
}

/* nudge_producer(): DOORBELL once more, between two sleepers. No answer. */
inline nudge(s)
{
        atomic {
                parked = mem[PARKED(P)];
                if
                :: (parked & ASLEEP) && NEW(s, parked) && !LACKS(NO_NUDGE, s) ->
                        answered = (LACKS(NUDGE_ANSWERS, s) -> parked : answered)
                :: else -> parked = 0; busy[s] = 0; goto last_look
                fi
        };
        ring(s, parked, 0)
}

/* sluice_priv_must_slice_short(): what the peer says of itself. */
#define SHORT(s) (!fenceless[s] && mem[STATE(OTHER(s))] && !LACKS(NO_SHORT_SLICES, s))

#define PARKED_WORD(s) \
        ((LACKS(NO_POSITION, s) -> 0 : awaited[s] * 4) + ASLEEP + BY_FIFO * FIFO(s))

#ifdef KERNEL_FENCE
#define WAIT_FENCE(s) fence(s)
#else
#define WAIT_FENCE(s) true
#endif

/* is_ready() loads the awaited word, then the peer's parked word. */
#ifdef HOLDS
#define LOAD(word) value = mem[word];
#define LOADED(word) value
#else
#define LOAD(word)
#define LOADED(word) mem[word]
#endif

#ifndef NO_PARKED_COMPARE
byte beheld; /* the consumer's parked word, by the producer's last look */
#define BEHOLD(s) beheld = ((s) == P -> mem[PARKED(C)] : beheld)
#define BEHELD(s) ((s) == C || mem[PARKED(C)] == beheld)
#define FORGET(s) beheld = ((s) == P -> 0 : beheld)
#else
#define BEHOLD(s) skip
#define BEHELD(s) 1
#define FORGET(s) skip
#endif

/* wait_until() and sleep_until(), or arm() and the caller's poll(2). It ends
 * at any moment: a deadline, the end of a producer's slice, an interrupt,
 * -EOWNERDEAD. When exactly a sleep on a pipe begins makes no difference to
 * the other endpoint, so it is part of the step before it. */
inline sleep_until(s, word)
{
        atomic { /* spin() */
                value = mem[word];
                if
                :: READY(s, value, 0) -> goto awake
                :: !READY(s, value, 0) && !LACKS(NO_LAST_LOOK, s) -> value = 0
                :: else /* what futex(2) will compare with */
                fi
        };
        atomic {
                /* sluice_priv_fifo_drain(), sluice_priv_park() */
                pipe[s] = (LACKS(DRAIN_AFTER_LOOK, s) -> pipe[s] : 0);
                store(s, PARKED(s), PARKED_WORD(s));
                busy[s] = s == C /* until nudge() has been done */
        };
        atomic {
                sleeper_barrier(s);
                if
                :: s == P -> goto last_look
                :: else
                fi
        };
        nudge(s);
last_look:
        LOAD(word)
        atomic {
                if
                :: LACKS(NO_LAST_LOOK, s)
                :: !LACKS(NO_LAST_LOOK, s) && READY(s, LOADED(word), NOT_CONTENT_PARKING) ->
                        goto unpark
                :: else -> value = 0
                fi
        };
        if
        :: atomic { /* arm() */
                FIFO(s) && !LACKS(DRAIN_AFTER_LOOK, s) ->
                brief[s] = SHORT(s) && !LACKS(NO_SHORT_ARM, s);
                asleep[s] = 1 /* short_sleep(), or the caller's */
           };
           atomic { asleep[s] = 0; goto unpark }
        :: brief[s] = SHORT(s)
        fi;
next_slice:
        LOAD(word)
        atomic {
                if
                :: LACKS(NO_LAST_LOOK, s)
                :: !LACKS(NO_LAST_LOOK, s) && READY(s, LOADED(word), NOT_CONTENT_WOKEN) ->
                        goto unpark
                :: else -> value = LOADED(word); BEHOLD(s)
                fi;
                if
                :: FIFO(s) && !LACKS(DRAIN_AFTER_LOOK, s) ->
                        value = 0;
                        asleep[s] = 1; /* ppoll(2) in pipe_sleep() */
                        goto sleeping
                :: else
                fi
        };
        if
        :: FIFO(s) && LACKS(DRAIN_AFTER_LOOK, s) ->
                pipe[s] = 0; value = 0;
                asleep[s] = 1
        :: atomic {
                !FIFO(s) && WAIT_FENCE(s) ->
                /* sluice_priv_futex_sleep(): the kernel looks, too */
                asleep[s] = ((mem[word] == value && BEHELD(s)) ||
                             LACKS(NO_KERNEL_CHECK, s) -> 1 : 0);
                value = 0; FORGET(s)
           }
        :: goto unpark
        fi;
sleeping:
        if
        :: atomic {
                !FIFO(s) && !asleep[s] -> /* woken, or not even asleep */
                brief[s] = SHORT(s)
           }
        :: atomic {
                FIFO(s) && pipe[s] > 0 ->
                asleep[s] = 0; pipe[s] = 0 /* sluice_priv_fifo_drain() */
           };
           brief[s] = SHORT(s)
        :: atomic { asleep[s] -> asleep[s] = 0; brief[s] = SHORT(s) } /* a consumer's slice */
        :: atomic { asleep[s] -> asleep[s] = 0; goto unpark }
        fi;
#if !NO_LAST_LOOK
        goto next_slice; /* else the next look is the caller's */
#endif
unpark:
        atomic {
                brief[s] = 0; value = 0; FORGET(s);
                if
                :: LACKS(NO_UNPARK, s)
                :: else -> store(s, PARKED(s), 0) /* sluice_priv_unpark() */
                fi
        };
awake:
        atomic { value = 0; awaited[s] = 0; enough = (s == P -> 0 : enough) }
}

/* ---- Joining and leaving ------------------------------------------- */

/* The role is taken. sluice_priv_queue_new(): registering is a full
 * fence, but the buffer is empty anyway. */
inline take_role(s)
{
        atomic {
                held[s] = 1;
                busy[s] = 1;
#ifdef MIXED
                if
                :: fenceless[s] = 1
                :: fenceless[s] = 0
                fi;
#else
                fenceless[s] = MB(s);
#endif
                registered[s] = fenceless[s] && !LACKS(NO_REGISTRATION, s);
                answered = (LACKS(ANSWERED_INHERITED, s) -> answered : 0)
        }
}

/* sluice_priv_{producer,consumer}_join(), what both do. */
inline take_half(s)
{
        if
        :: LACKS(NO_PARKED_RESET, s)
        :: else -> store(s, PARKED(s), 0)
        fi;
        store(s, STATE(s), fenceless[s])
}

/* sluice_priv_wake_on_join() in wake.c: a peer that sleeps looks again,
 * because our predecessor may have been killed before it woke it up. The
 * parked word is not marked as answered, because there may be nothing yet. */
inline join_wake(s)
{
        atomic {
                LACKS(NO_JOIN_FENCE, s) || fence(s);
                rang = 1; /* now, or by a predecessor */
                parked = mem[PARKED(OTHER(s))];
                if
                :: (parked & ASLEEP) && !LACKS(NO_JOIN_WAKE, s) ->
                        answered = (LACKS(JOIN_ANSWERS, s) -> parked : answered)
                :: else -> parked = 0; busy[s] = 0; dead[s] = 0; goto joined
                fi
        };
        ring(s, parked, 1)
}

/* sluice_{producer,consumer}_detach() */
inline detach(s, at, end_value, reached)
{
        atomic { busy[s] = 1; store(s, at, end_value) };
        atomic {
                LACKS(NO_CLOSE_FENCE, s) || fence(s);
                parked = mem[PARKED(OTHER(s))];
                if
                :: (parked & ASLEEP) && NEW(s, parked) && !LACKS(NO_CLOSE_WAKE, s) &&
                   (DUE(s, parked, reached) || !LACKS(CLOSE_ASKS_DUE, s)) ->
                        answered = parked /* wake() does */
                :: else -> parked = 0; busy[s] = 0; goto detached
                fi
        };
        ring(s, parked, 0)
}

/* ---- The producer -------------------------------------------------- */

#define MORE(a, b) (((a) > (b) -> (a) : (b)))
#define FEWER(a, b) (((a) < (b) -> (a) : (b)))

proctype producer()
{
        byte position, seen, answered, parked, value, need;
        bit rang;

life:
        {
                take_role(P);
                d_step { /* sluice_priv_producer_find() */
                        do
                        :: mem[position] != NOTHING && mem[position] != END ->
                                position = position + mem[position]
                        :: else -> break
                        od
                };
                take_half(P);
                if
                :: mem[position] == END -> store(P, position, NOTHING)
                :: else
                fi;
                join_wake(P);
joined:
refresh:        atomic { /* sluice_priv_make_room() */
                        value = mem[POSITION];
                        seen = value / 2;
                        need = LENGTH(position);
                        if
                        :: value & 1 -> value = 0; seen = 0; goto end_closed
                        :: else -> value = 0
                        fi;
                        if
                        :: position == TOTAL -> seen = 0; goto leave
                        :: position != TOTAL && position + need - seen > ROOM ->
                                /* sluice_priv_await_room(): need - room is missing,
                                 * position - seen is in use. */
                                need = position + need - seen - ROOM;
                                enough = seen + need;
                                awaited[P] = seen + MORE(need,
                                        (LACKS(NO_CAP, P) -> FAIR : FEWER(FAIR, position - seen)));
                                need = 0; seen = 0;
                                goto wait
                        :: else -> need = 0; seen = 0
                        fi
                };
                if
                :: atomic { /* sluice_publish() */
                        busy[P] = 1;
                        store(P, position, LENGTH(position));
                        position = position + LENGTH(position)
                   }
                :: atomic { leaves > 0 -> leaves--; goto leave }
                fi;
                doorbell(P, position);
past_doorbell:      goto refresh;
wait:
                sleep_until(P, POSITION);
                goto refresh;
end_closed:     /* -EPIPE: goes on with the next consumer, if there is one */
                !(mem[POSITION] & 1) -> goto refresh;
leave:
                detach(P, position, END, position);
detached:       atomic {
                        held[P] = 0;
                        if
                        :: position == TOTAL -> goto left
                        :: else -> position = 0; goto life
                        fi
                }
        } unless { killed[P] };
        atomic {
                fence(P);
                killed[P] = 0; awaited[P] = 0; enough = 0;
                position = 0; seen = 0; parked = 0; value = 0; need = 0; rang = 0;
                goto life
        };
left:   skip
}

/* ---- The consumer -------------------------------------------------- */

proctype consumer()
{
        byte next, answered, parked, value;
        bit rang;
        byte kept; /* units passed by sluice_advance() and not released */

life:
        {
                take_role(C);
                next = mem[POSITION] / 2; /* sluice_priv_consumer_find() */
                take_half(C);
                store(C, POSITION, next * 2);
                join_wake(C);
joined:
look:           atomic { /* sluice_priv_look() */
                        value = mem[next];
                        if
                        :: value == END && next == TOTAL -> value = 0; goto leave
                        :: value == END && next != TOTAL -> value = 0; goto ended
                        :: value == NOTHING -> awaited[C] = next + 1; goto wait
                        :: else -> assert(value == LENGTH(next))
                        fi
                };
                if
                :: atomic { /* sluice_release() */
                        busy[C] = 1;
                        next = next + value; value = 0; kept = 0;
                        store(C, POSITION, next * 2)
                   }
                :: atomic { leaves > 0 -> leaves--; value = 0; goto leave }
#ifdef HOLDS
                :: atomic { /* sluice_advance() */
                        kept == 0 -> kept = value; next = next + value; value = 0;
                        goto look
                   }
#endif
                fi;
                doorbell(C, next);
past_doorbell:      goto look;
wait:
#ifdef POLLS
                asleep[C] = 1; /* does nothing else, if not in the kernel */
                atomic { mem[next] != NOTHING -> asleep[C] = 0; awaited[C] = 0 };
                goto look;
#endif
                sleep_until(C, awaited[C] - 1);
                goto look;
ended:          /* -EPIPE: goes on with the next producer */
                mem[next] != END -> goto look;
leave:
                detach(C, POSITION, (next - kept) * 2 + 1, next - kept);
detached:       atomic {
                        held[C] = 0; kept = 0;
                        if
                        :: next == TOTAL && mem[next] == END -> goto left
                        :: else -> next = 0; goto life
                        fi
                }
        } unless { killed[C] };
        atomic {
                fence(C);
                killed[C] = 0; awaited[C] = 0;
                next = 0; parked = 0; value = 0; kept = 0; rang = 0;
                goto life
        };
left:   skip
}

init {
        atomic {
                run drain(P);
                run drain(C);
                run monitor();
                run killer();
                run producer();
                run consumer()
        }
}
