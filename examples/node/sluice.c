/* SPDX-License-Identifier: MIT */
/*
 * read(name, callback): a consumer in the loop of Node.js. Calls
 * callback(null, data) for each message, in order, and callback(error) at the end,
 * once: the producer has closed (error.code is EPIPE), has died (EOWNERDEAD), or
 * the queue fails. The answer's close() ends it without. What a callback throws
 * is an uncaught exception; the next message comes all the same. `data` is a copy:
 * JavaScript may keep it, but the ring's memory is soon the producer's again.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <node_api.h>
#include <sluice.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct reader {
        struct sluice_consumer *consumer;
        uv_poll_t readable;
        uv_idle_t more; /* turns the loop while there is something */
        napi_env env;
        napi_ref close, callback; /* strong, while it is open */
        napi_async_context context;
        napi_async_cleanup_hook_handle hook;
        int draining, closing, closed; /* closed: handles of libuv */
        ssize_t error;
        char name[SLUICE_NAME_MAX + 2]; /* what is cut off here is too long there */
};

/* Nonzero: no memory, which is fatal to Node.js itself, or a mistake in here. */
static void must(bool failed)
{
        if (failed)
                napi_fatal_error("sluice.node", NAPI_AUTO_LENGTH, "call failed", NAPI_AUTO_LENGTH);
}

static napi_status throw_error(const struct reader *r)
{
        char message[sizeof r->name + 256];

        (void)snprintf(message, sizeof message, "%s: %s", r->name, sluice_strerror(r->error));
        return napi_throw_error(r->env, strerrorname_np((int)-r->error), message);
}

/* From the loop, with a message, or NULL: the error. -ECANCELED: the thread is
 * being ended, and calls nothing any more. */
static int call(void *reader, const struct sluice_message *m)
{
        const struct reader *r = reader;
        napi_value close, function, arguments[2];
        napi_handle_scope scope;
        bool refused;

        must(napi_open_handle_scope(r->env, &scope) || napi_get_null(r->env, &arguments[0]));
        must(napi_get_reference_value(r->env, r->close, &close));
        must(napi_get_reference_value(r->env, r->callback, &function));
        refused = m ? napi_create_buffer_copy(r->env, m->len, m->data, NULL, &arguments[1])
                    : throw_error(r);
        if (m == NULL || refused) /* the error was made by throwing it */
                must(napi_get_and_clear_last_exception(r->env, &arguments[0]));
        if (!refused &&
            napi_make_callback(r->env, r->context, close, function, m ? 2 : 1, arguments, NULL)) {
                must(napi_get_and_clear_last_exception(r->env, &arguments[0]));
                (void)napi_fatal_exception(r->env, arguments[0]); /* or the thread is ended */
        }
        must(napi_close_handle_scope(r->env, scope));
        return refused ? -ECANCELED : r->closing; /* closing: released, and the last one */
}

static void handle_closed(uv_handle_t *handle)
{
        struct reader *r = handle->data;

        if (++r->closed < 2)
                return;
        must(napi_async_destroy(r->env, r->context));
        must(napi_delete_reference(r->env, r->callback) || napi_delete_reference(r->env, r->close));
        must(napi_remove_async_cleanup_hook(r->hook));
}

static void close_reader(struct reader *r)
{
        if (r->closing)
                return;
        r->closing = 1;
        uv_close((uv_handle_t *)&r->readable, handle_closed);
        uv_close((uv_handle_t *)&r->more, handle_closed);
        must(r->draining ? 0 : sluice_consumer_close(r->consumer)); /* else look does it */
}

static void look(uv_idle_t *more)
{
        struct reader *r = more->data;

        must(uv_idle_stop(more) || sluice_consumer_disarm(r->consumer));
        r->draining = 1;
        r->error = sluice_drain(r->consumer, call, r, 64);
        r->draining = 0;
        if (r->closing) {
                must(sluice_consumer_close(r->consumer));
        } else if (r->error < 0 || (r->error = sluice_consumer_arm(r->consumer)) < 0) {
                close_reader(r);
                (void)call(r, NULL);
        } else if (r->error > 0) { /* there is more, and nothing is armed */
                must(uv_idle_start(more, look));
        }
}

static void on_readable(uv_poll_t *readable, int status, int events)
{
        (void)status, (void)events; /* arming tells of a descriptor that is none */
        look(&((struct reader *)readable->data)->more);
}

static napi_value on_close(napi_env env, napi_callback_info info)
{
        void *reader;

        must(napi_get_cb_info(env, info, NULL, NULL, NULL, &reader));
        close_reader(reader);
        return NULL;
}

/* The thread ends when handle_closed has removed this hook. */
static void on_end_of_thread(napi_async_cleanup_hook_handle hook, void *reader)
{
        (void)hook;
        close_reader(reader);
}

static void finalize(napi_env env, void *reader, void *hint)
{
        (void)env, (void)hint;
        sluice_consumer_free(((struct reader *)reader)->consumer);
        free(reader);
}

/* 0, or a negative error, and nothing is open. */
static int start(struct reader *r)
{
        const struct sluice_options options = SLUICE_OPTIONS(.wake = SLUICE_WAKE_FIFO);
        uv_loop_t *loop;
        int error = sluice_consumer_open(r->consumer, r->name, &options);

        must(napi_get_uv_event_loop(r->env, &loop));
        if (error == 0 &&
            (error = uv_poll_init(loop, &r->readable, sluice_consumer_fd(r->consumer))) != 0)
                must(sluice_consumer_close(r->consumer));
        if (error != 0)
                return error;
        r->readable.data = r->more.data = r;
        must(uv_poll_start(&r->readable, UV_READABLE | UV_DISCONNECT, on_readable));
        must(uv_idle_init(loop, &r->more) || uv_idle_start(&r->more, look));
        return 0;
}

static napi_value read_queue(napi_env env, napi_callback_info info)
{
        struct reader *r = calloc(1, sizeof *r);
        napi_value arguments[2], close, answer;
        napi_valuetype type;
        size_t count = 2, len;

        must(r == NULL || (r->consumer = sluice_consumer_new()) == NULL);
        r->env = env;
        must(napi_get_cb_info(env, info, &count, arguments, NULL, NULL));
        must(napi_typeof(env, arguments[1], &type));
        if (napi_get_value_string_utf8(env, arguments[0], r->name, sizeof r->name, &len) ||
            strlen(r->name) != len || type != napi_function) {
                (void)napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE",
                                            "read(name, callback): a string and a function");
        } else if (!napi_create_object(env, &answer) &&
                   !napi_create_function(env, "close", 5, on_close, r, &close) &&
                   !napi_set_named_property(env, answer, "close", close)) {
                if ((r->error = start(r)) == 0) {
                        must(napi_add_finalizer(env, close, r, finalize, NULL, NULL));
                        must(napi_create_reference(env, close, 1, &r->close));
                        must(napi_create_reference(env, arguments[1], 1, &r->callback));
                        must(napi_async_init(env, close, arguments[0], &r->context));
                        must(napi_add_async_cleanup_hook(env, on_end_of_thread, r, &r->hook));
                        return answer;
                }
                (void)throw_error(r);
        }
        finalize(env, r, NULL);
        return NULL;
}

NAPI_MODULE_INIT()
{
        napi_value read;

        if (!napi_create_function(env, "read", 4, read_queue, NULL, &read))
                (void)napi_set_named_property(env, exports, "read", read);
        return exports; /* or what was thrown */
}
