// SPDX-License-Identifier: MIT
// cases.js CASE [QUEUE]: what run.sh tests, in a process of its own each. Prints
// what was wrong and exits with 1.
'use strict';

const assert = require('assert');
const fs = require('fs');
const { Worker, isMainThread, workerData, parentPort } = require('worker_threads');
const { AsyncLocalStorage } = require('async_hooks');

const { read } = require(process.env.SLUICE_NODE);
const [queue] = process.argv.slice(3);
const cases = {};

const descriptors = () => fs.readdirSync('/proc/self/fd').length;
const mappings = () => fs.readFileSync('/proc/self/maps', 'utf8').split('SYSV').length;
const ms = (n) => new Promise((done) => setTimeout(done, n));

// numbered(total): a callback that expects `message N of total` and then EPIPE,
// each in its order; keeps all.
function numbered(total, first = 1) {
        const kept = [];
        const ends = [];
        const callback = (error, data) => {
                assert.strictEqual(ends.length, 0, 'called after the end');
                if (error) ends.push(error);
                else kept.push(data);
        };
        process.on('exit', () => {
                assert.strictEqual(kept.length, total - first + 1);
                kept.forEach((data, i) => {
                        assert.strictEqual(data.toString(), `message ${first + i} of ${total}`);
                });
                assert.deepStrictEqual(ends.map((error) => error.code), ['EPIPE']);
        });
        return callback;
}

// Kept until the end, when the ring's memory has had others in it.
cases.order = () => {
        read(queue, numbered(100000));
        console.log('open');
};

// Nobody has the answer, which does not end the reading.
cases.collected = () => {
        read(queue, numbered(1000));
        global.gc();
        setImmediate(global.gc);
        setTimeout(global.gc, 20);
        console.log('open');
};

cases.turns = () => {
        const next = numbered(1000);
        let inTurn = 0;
        let turns = 0;
        const turn = () => {
                inTurn = 0;
                turns++;
                immediate = setImmediate(turn);
        };
        let immediate = setImmediate(turn);
        read(queue, (error, data) => {
                next(error, data);
                assert(++inTurn <= 64, 'more than 64 messages in a turn');
                if (error) clearImmediate(immediate);
        });
        assert.strictEqual(inTurn, 0, 'called by read itself');
        process.on('exit', () => assert(turns >= 15, `${turns} turns`));
};

// Two sleeps of a second, before and after a message.
cases.idle = () => {
        const used = [];
        let begin = process.cpuUsage();
        const look = () => {
                const { user, system } = process.cpuUsage(begin);
                used.push((user + system) / 1000);
                begin = process.cpuUsage();
        };
        let got = 0;
        const reader = read(queue, (error) => {
                assert.ifError(error);
                got++;
        });
        console.log('open');
        setTimeout(() => {
                look();
                console.log('idle');
                const wait = setInterval(() => {
                        if (got === 0) return;
                        clearInterval(wait);
                        begin = process.cpuUsage();
                        setTimeout(() => {
                                look();
                                reader.close();
                                used.forEach((n) => assert(n < 200, `${used} ms of a second`));
                        }, 1000);
                }, 10);
        }, 1000);
};

cases.killed = () => {
        const said = [];
        read(queue, (error, data) => {
                said.push(error ? error.code : data.toString());
                if (error) assert.match(error.message, /the other side died/);
                console.log(said[said.length - 1]);
        });
        console.log('open');
        process.on('exit', () => assert.deepStrictEqual(said, ['one', 'two', 'EOWNERDEAD']));
};

// Every third message is thrown at, also the end.
cases.thrown = () => {
        const next = numbered(1000);
        let calls = 0;
        let caught = 0;
        process.on('uncaughtException', (error) => {
                assert.strictEqual(error.message, 'thrown');
                caught++;
        });
        read(queue, (error, data) => {
                next(error, data);
                if (error || ++calls % 3 === 0) throw new Error('thrown');
        });
        process.on('exit', () => assert.strictEqual(caught, 334));
};

cases.uncaught = () => {
        read(queue, () => {
                throw new Error('thrown by a callback');
        });
};

// Ended in the midst of a message: that is there for the next reader.
cases.exit = () => {
        read(queue, (error, data) => {
                process.exit(error || data.toString() !== 'message 1 of 3' ? 1 : 0);
        });
};

// Closed from within; what comes next is there for the next reader, which may
// be opened at once.
cases.close = () => {
        const before = descriptors();
        let first = 0;
        const reader = read(queue, (error, data) => {
                assert.ifError(error);
                assert.strictEqual(data.toString(), `message ${++first} of 1000`);
                if (first < 10) return;
                assert.strictEqual(first, 10);
                reader.close();
                reader.close();
                process.nextTick(() => setImmediate(() => {
                        assert.strictEqual(descriptors(), before);
                        read(queue, () => assert.fail('closed at once')).close();
                        read(queue, numbered(1000, 11));
                }));
        });
        assert.throws(() => read(queue, () => {}), { code: 'EBUSY', name: 'Error' });
};

// Callbacks end as others of Node.js do: with promises and nextTick, in their context.
cases.ticks = () => {
        const storage = new AsyncLocalStorage();
        const said = [];
        let number = 0;
        storage.run('context', () => {
                read(queue, (error) => {
                        assert.strictEqual(storage.getStore(), 'context');
                        const n = error ? 'end' : ++number;
                        said.push(n);
                        process.nextTick(() => said.push(`${n} tick`));
                        Promise.resolve().then(() => said.push(`${n} then`));
                });
        });
        process.on('exit', () => {
                const wanted = [1, 2, 3, 'end'].flatMap((n) => [n, `${n} tick`, `${n} then`]);
                assert.deepStrictEqual(said, wanted);
        });
};

cases.arguments = () => {
        const none = () => assert.fail('called');
        const wrong = [[], [1, none], ['q'], ['q', 1], [none, 'q'], ['q\0r', none], [null, none]];
        for (const list of wrong) {
                assert.throws(() => read(...list), {
                        name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE',
                });
        }
        assert.throws(() => read('missing', none), {
                name: 'Error', code: 'ENOENT', message: /^missing: no such queue: create it first/,
        });
        assert.throws(() => read('n'.repeat(2000), none), { code: 'ENAMETOOLONG' });
        assert.throws(() => read('..', none), { code: 'EINVAL' });
};

// What is closed leaves nothing: no descriptor, no mapping, no memory.
cases.leaks = async () => {
        const cycles = async (n) => {
                for (let i = 0; i < n; i++) {
                        read(queue, () => assert.fail('called')).close();
                        if (i % 100 === 0) await ms(0);
                }
                for (let i = 0; i < 3; i++) {
                        global.gc();
                        await ms(1);
                }
        };
        await cycles(3000);
        await cycles(3000); // memory is at its usual size
        const before = [descriptors(), mappings(), process.memoryUsage().rss];
        await cycles(3000);
        assert.strictEqual(descriptors(), before[0]);
        assert.strictEqual(mappings(), before[1]);
        const grown = (process.memoryUsage().rss - before[2]) / 3000;
        assert(grown < 400, `${grown} bytes of each stay`);
};

// A thread that is ended while it waits, before there is a producer, and in the
// midst of messages; then the role is free, and what was not handed over is there.
cases.worker = async () => {
        for (const what of ['wait', 'flood', 'exit']) {
                const worker = new Worker(__filename, { workerData: [what, queue] });
                const ended = new Promise((done) => worker.once('exit', done));
                if (what !== 'exit') {
                        await new Promise((done) => worker.once('message', done));
                        await worker.terminate();
                }
                await ended;
                read(queue, () => assert.fail('closed at once')).close();
                console.log(`after ${what}`);
        }
        let last = 0;
        process.on('exit', () => assert.strictEqual(last, 100000));
        read(queue, (error, data) => {
                if (error) {
                        assert.strictEqual(error.code, 'EPIPE');
                        return;
                }
                const number = Number(data.toString().split(' ')[1]);
                assert(last === 0 || number === last + 1, `${number} follows ${last}`);
                last = number;
        });
};

function inWorker() {
        const [what, name] = workerData;
        let calls = 0;
        read(name, () => {
                if (what === 'exit') process.exit();
                if (++calls === (what === 'flood' ? 100 : 1)) parentPort.postMessage('running');
        });
        if (what === 'wait') parentPort.postMessage('open');
}

if (isMainThread) cases[process.argv[2]]();
else inWorker();
