/**
 * Takes one instance out of a Nacos cluster and sees that it is gone.
 *
 * That a server took the removal is not enough. A server that started within the last half minute loads the memory of
 * another one, and puts back what was removed in the second before the other heard of it; a server that is not
 * responsible for the instance answers a removal with success and changes nothing. Both seen on 2.3.1; the instance
 * then stays for 30 s to 3 minutes and is called all that time. So all servers are asked, and the removal is repeated.
 *
 * What was put there meanwhile with another content is somebody else's and left alone.
 */
import type { Clock } from '../../../contracts/clock.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { Registration } from '../../../contracts/registry-adapter.ts'
import type { NacosTimes } from '../config.ts'
import type { NacosMember, ServerList } from '../server-list/server-list.ts'
import { maxInstanceWeight } from '../wire/instance.ts'
import type { HttpNaming } from './http-naming.ts'

export interface RemovalDeps {
  readonly naming: Pick<HttpNaming, 'deregister' | 'register' | 'list'>
  readonly servers: ServerList
  readonly times: NacosTimes
  readonly clock: Clock
  /** What is gone may come back: servers come and go, or another process may have had a hand in it. */
  readonly isTroubled: () => boolean
  /** Hears of failures that are tried again. */
  readonly onProblem: (server: NacosMember, words: string) => void
  /** Servers show the instance although its removal was taken; it is removed again. */
  readonly onRepeat: (servers: readonly string[], removals: number) => void
}

export interface RemovalSignals {
  /** Nothing is begun after it. */
  readonly deadline: AbortSignal
  /** The same instance is wanted again: what is under way is finished, nothing is repeated. */
  readonly superseded: AbortSignal
  /** The adapter closes: what the servers were told has to do. */
  readonly closing: AbortSignal
}

export interface RemovalOutcome {
  /**
   * `gone`: no server that answers has it any more. `unseen`: a server took the removal, none could be asked.
   * `remains`: the removal was taken, but some servers still show it. `refused`: no server took it in time.
   * `taken-over`: somebody else put another instance there. `superseded`: we want it again ourselves.
   */
  readonly kind: 'gone' | 'unseen' | 'remains' | 'refused' | 'taken-over' | 'superseded'
  readonly removals: number
  /** Servers that still show it. */
  readonly remaining: readonly string[]
}

/** Servers that are asked; clusters have three to seven. */
const maxAsked = 8
/**
 * Removals that changed nothing before the instance is put there once more, disabled, so that its removal is news for
 * every server.
 */
const plainRemovals = 2

/** What was announced, newest content first. */
export interface Announced {
  readonly contents: readonly [Registration, ...Registration[]]
  /** A registration or heartbeat was given up on the way and may still arrive. */
  readonly isInFlight: boolean
}

/** Never rejects. */
export async function removeInstance(
  announced: Announced,
  signals: RemovalSignals,
  deps: RemovalDeps,
): Promise<RemovalOutcome> {
  const { naming, servers, times, clock } = deps
  const { deadline, superseded, closing } = signals
  const [registration] = announced.contents
  const stop = AbortSignal.any([deadline, superseded])
  const stopLooking = AbortSignal.any([stop, closing])
  let removals = 0
  let removedAt = 0
  let remaining: readonly string[] = []
  const outcome = (kind: RemovalOutcome['kind']): RemovalOutcome => ({
    kind: superseded.aborted ? 'superseded' : kind,
    removals,
    remaining,
  })
  /** At one server; again, at all that still show it. */
  const remove = async (): Promise<boolean> => {
    const showing = servers.servers.filter(({ id }) => remaining.includes(id))
    const isPlain = removals < plainRemovals
    let isTaken = false
    for (const server of showing.length > 0 ? showing : servers.inRandomOrder()) {
      if (stop.aborted) break
      try {
        // no plain removal reaches the memory of a server that is not responsible: news does
        if (!isPlain) await naming.register(server, { ...registration, enabled: false }, deadline)
        await naming.deregister(server, registration, deadline)
        removedAt = clock.monotonic()
        isTaken = true
        if (showing.length === 0) break
      } catch (error) {
        deps.onProblem(server, describeError(error))
      }
    }
    if (isTaken) removals++
    return isTaken
  }

  for (let pauseMs = 100; !(await remove()); pauseMs = Math.min(pauseMs * 2, 1000)) {
    if (stop.aborted) return outcome('refused')
    await sleep(pauseMs, clock, stop)
  }

  // servers hear of it from each other after a second
  if (servers.servers.length > 1) await sleep(times.syncMs * 0.75, clock, stopLooking)
  const shownGone = new Set<string>()
  let goneSince: number | undefined
  for (let pauseMs = 50; !stopLooking.aborted; pauseMs = Math.min(pauseMs * 2, 400)) {
    const looks = await Promise.all(
      servers.servers.slice(0, maxAsked).map(async (server) => ({ id: server.id, look: await lookAt(server) })),
    )
    if (stopLooking.aborted) break
    const which = (look: Look): string[] => looks.filter((one) => one.look === look).map(({ id }) => id)
    remaining = which('ours')
    if (which('other').length > 0) return outcome('taken-over')
    if (looks.every(({ look }) => look === 'denied')) return outcome('unseen')
    if (remaining.length === 0 && which('gone').length > 0) {
      goneSince ??= clock.monotonic()
      const isQuiet = clock.monotonic() - goneSince >= times.syncMs
      if (isQuiet || !(announced.isInFlight || deps.isTroubled())) return outcome('gone')
    } else if (remaining.length > 0) {
      goneSince = undefined
      const isBack = remaining.some((id) => shownGone.has(id))
      if (isBack || clock.monotonic() - removedAt >= times.syncMs) {
        deps.onRepeat(remaining, removals)
        await remove()
        shownGone.clear()
      }
    }
    for (const id of which('gone')) shownGone.add(id)
    await sleep(pauseMs, clock, stopLooking)
  }
  return outcome(remaining.length > 0 ? 'remains' : goneSince === undefined ? 'unseen' : 'gone')

  async function lookAt(server: NacosMember): Promise<Look> {
    try {
      const info = await naming.list(server, registration.service, stopLooking)
      return find(info['hosts'], announced.contents)
    } catch (error) {
      const code = (error as { code?: unknown }).code
      return code === 'E_REGISTRY_DENIED' || code === 'E_REGISTRY_PROTOCOL' ? 'denied' : 'silent'
    }
  }
}

/** What a server shows at the address: nothing, what we put there, or something else; or it does not tell. */
type Look = 'gone' | 'ours' | 'other' | 'silent' | 'denied'

function find(hosts: unknown, contents: Announced['contents']): Look {
  const [registration] = contents
  if (!Array.isArray(hosts)) return 'denied'
  const found = hosts.find((host: unknown) => {
    const { ip, port, clusterName } = (host ?? {}) as Readonly<Record<string, unknown>>
    return (
      ip === registration.address &&
      port === registration.port &&
      (clusterName ?? registration.cluster) === registration.cluster
    )
  }) as Readonly<Record<string, unknown>> | undefined
  if (found === undefined) return 'gone'
  return contents.some((content) => isContentOf(found, content)) ? 'ours' : 'other'
}

function isContentOf(found: Readonly<Record<string, unknown>>, content: Registration): boolean {
  const metadata = (found['metadata'] ?? {}) as Readonly<Record<string, unknown>>
  const keys = Object.keys(content.metadata)
  return (
    found['weight'] === storedWeight(content.weight) &&
    keys.length === Object.keys(metadata).length &&
    keys.every((key) => metadata[key] === content.metadata[key])
  )
}

/**
 * Servers lift small weights and cut large ones (com.alibaba.nacos.naming.constants.Constants, MIN_POSITIVE_WEIGHT and
 * MAX_WEIGHT_VALUE).
 */
function storedWeight(weight: number): number {
  return weight > 0 ? Math.min(Math.max(weight, 0.01), maxInstanceWeight) : weight
}

function sleep(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = (): void => {
      cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal.addEventListener('abort', done, { once: true })
  })
}
