/** Drills in which an instance of the probe's own service fails, and drills that call it too often. */
import { MeshError } from '../../contracts/errors.ts'
import { type Drill, killsNothing } from './drill.ts'

const slowMs = 1000
/** Checks of local applications every second, and some rounds of the registry. */
const noticedWithinMs = 15_000
const overloadRate = 500

/** What those that break an instance have alike. */
const ofVictim = {
  ...killsNothing,
  maxRecoveryMs: 30_000,
  hasVictim: true,
} as const

const onlyTheProbe = "the drill's own service; no application of this host"

export const upstreamDrills: readonly Drill[] = [
  {
    ...ofVictim,
    name: 'kill-application',
    does: "one of two instances of the probe's service dies for a while: it resets its connections and refuses new ones",
    blastRadius: onlyTheProbe,
    promise: 'nothing lost: what was not answered is tried at the other instance',
    act: async ({ faultMs, pause, victim }) => {
      await victim!.die()
      await pause(faultMs)
    },
    restore: async ({ victim }) => victim?.heal(),
  },
  {
    ...ofVictim,
    name: 'slow-upstream',
    does: `one of two instances of the probe's service takes ${slowMs / 1000} s for each answer, for a while`,
    blastRadius: onlyTheProbe,
    promise: 'nothing lost: slow is not dead',
    act: async ({ faultMs, pause, victim }) => {
      victim!.slow(slowMs)
      await pause(faultMs)
    },
    restore: async ({ victim }) => victim?.heal(),
  },
  {
    ...ofVictim,
    name: 'cut-host',
    does: `one of two instances of the probe's service falls silent for ${noticedWithinMs / 1000} s and a while, as behind a network that is cut: it takes bytes, and nothing comes back`,
    blastRadius: onlyTheProbe,
    promise: `noticed within ${noticedWithinMs / 1000} s; afterwards nothing is lost`,
    noticedWithinMs,
    act: async ({ faultMs, pause, victim }) => {
      victim!.fallSilent()
      await pause(noticedWithinMs + faultMs)
    },
    restore: async ({ victim }) => victim?.heal(),
  },
  {
    name: 'overload',
    does: `calls the probe's service ${overloadRate} times a second more, for a while`,
    blastRadius: 'this host: processor time that its requests may want; the drill gives up when they suffer',
    promise: 'every call is answered, the host stays whole',
    role: 'agent',
    isSafe: false,
    maxLost: 0,
    maxRecoveryMs: 10_000,
    needsNextTier: false,
    isReplaced: undefined,
    act: async ({ faultMs, moreCalls, pause, say }) => {
      const caller = moreCalls!(overloadRate)
      try {
        await pause(faultMs)
        const { calls, errors, reasons } = caller.tally.since(0)
        say(`${calls} more calls, ${errors} of them failed`)
        const unanswered = Object.entries(reasons).filter(([reason]) => !/^\d{3}/.test(reason))
        if (unanswered.length > 0)
          throw new MeshError(
            'E_OVERLOAD',
            `calls without an answer: ${unanswered.map(([reason, count]) => `${reason} ${count}`).join(', ')}`,
          )
      } finally {
        caller.stop()
      }
    },
    restore: async () => {},
  },
]
