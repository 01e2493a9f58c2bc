/** What an adapter is given by a command: time that keeps the process alive, and nobody who reads its log. */
import { systemClock } from '../contracts/clock.ts'
import type { AdapterDeps } from '../contracts/registry-adapter.ts'

const silent = (): void => {}

export const quietDeps: AdapterDeps = {
  clock: {
    ...systemClock,
    after: (ms, call) => {
      const timer = setTimeout(call, ms)
      return () => clearTimeout(timer)
    },
  },
  random: Math.random,
  log: { debug: silent, info: silent, warn: silent, error: silent },
  metrics: { count: silent, gauge: silent },
}
