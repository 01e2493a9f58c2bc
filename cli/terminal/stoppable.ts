const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Runs what goes on until somebody stops it: the signals of a terminal end it in order, and are their own again
 * afterwards.
 */
export async function untilStopped<Result>(work: (stop: AbortSignal) => Promise<Result>): Promise<Result> {
  const interruption = new AbortController()
  const interrupt = (): void => interruption.abort()
  for (const signal of signals) process.on(signal, interrupt)
  try {
    return await work(interruption.signal)
  } finally {
    for (const signal of signals) process.off(signal, interrupt)
  }
}

/** Resolves after `ms`, or as soon as it is stopped. */
export function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) {
      resolve()
      return
    }
    const done = (): void => {
      clearTimeout(timer)
      stop.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    stop.addEventListener('abort', done)
  })
}
