/**
 * Entry point of a worker process; what it does is in `start.ts`.
 *
 * The optimizing compilers stay off until the worker serves: at start they would only work on code that runs once, and
 * their own code would count among the memory of an idle worker (6 of 70 MB on Node 26). The data path is compiled by
 * its first requests, as it would be anyway.
 *
 * The young generation keeps its first size until then, too: all that a start makes stays, which otherwise makes it
 * grow from 1 to 8 MiB for good. It grows under load as it would anyway.
 *
 * The compilers may put more into one piece of code than they are used to (460 and 920 bytes): a request passes through
 * many small parts, and each call between them costs. The part of a request that is ours takes a tenth less time that
 * way.
 */
import { setFlagsFromString } from 'node:v8'

import { trialFlag } from './transport/epoll/trial-flag.ts'

const optimizers = ['opt', 'maglev']
setFlagsFromString('--max-inlined-bytecode-size=1000')
setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000')
// What is tried are the calls as optimized code makes them.
if (process.argv.includes(trialFlag)) await import('./transport/epoll/trial-process.ts')
for (const name of optimizers) setFlagsFromString(`--no-${name}`)
setFlagsFromString('--semi-space-growth-factor=1')
await import('./start.ts')
setFlagsFromString('--semi-space-growth-factor=2')
for (const name of optimizers) setFlagsFromString(`--${name}`)
