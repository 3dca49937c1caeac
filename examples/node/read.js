// SPDX-License-Identifier: MIT
// read.js NAME: prints a queue's messages, beside a timer, until the producer
// closes. `ninja node` makes out/release/examples/sluice.node: it belongs here.
'use strict';

const { read } = require('./sluice.node');

const ticks = setInterval(() => console.error('tick'), 100);
try {
        const reader = read(process.argv[2], (error, data) => {
                if (!error) {
                        console.log(data.toString());
                        return;
                }
                console.error(`${error.code}: ${error.message}`);
                clearInterval(ticks); // nothing else keeps the loop
                process.exitCode = error.code === 'EPIPE' ? 0 : 1;
        });
        process.once('SIGINT', () => {
                reader.close();
                clearInterval(ticks);
        });
} catch (error) {
        console.error(`${error.code}: ${error.message}`);
        process.exit(1);
}
