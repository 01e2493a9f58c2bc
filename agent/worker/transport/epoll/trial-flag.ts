/** A worker's program that is started with this word tries `epoll/` and ends (`trial-process.ts`). */
export const trialFlag = '--try-transports'
