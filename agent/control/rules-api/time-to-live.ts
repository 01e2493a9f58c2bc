/**
 * Rules that are to go by themselves: the annotation `hostmesh.io/ttl`, counted from when somebody wrote it last, also
 * over restarts. The leading generation removes them; where several centers share a store, whichever is first.
 */
import type { Clock } from '../../../contracts/clock.ts'
import { describeError } from '../../../contracts/errors.ts'
import { ttlAnnotation } from '../../../contracts/rule-documents.ts'
import type { RuleProblem } from '../../../contracts/rule-status.ts'
import { parseDuration } from '../config/scalars.ts'
import type { Log } from '../log.ts'
import { ApiError } from './api-error.ts'
import { apiKinds } from './api-kinds.ts'
import type { Catalog, ObjectChange } from './catalog.ts'
import type { KnownObject, RuleObject } from './rule-object.ts'
import type { RuleWrites } from './rule-writes.ts'

const leastMs = 1000
const mostMs = 365 * 86_400_000
/** A store that cannot be written is asked again after this, ms. */
const againMs = 5000

export interface TimeToLiveDeps {
  readonly catalog: Catalog
  readonly writes: Pick<RuleWrites, 'remove'>
  readonly clock: Clock
  readonly log: Log
}

/** What is wrong with the annotation, if it is there. */
export function ttlProblem({ metadata: { annotations } }: RuleObject): RuleProblem | undefined {
  const text = annotations?.[ttlAnnotation]
  if (text === undefined || ttlOf(text) !== undefined) return undefined
  const message = `found ${JSON.stringify(text).slice(0, 80)}, allowed a time from 1s to 365d`
  return { path: `metadata.annotations.${ttlAnnotation}`, line: 0, column: 0, message }
}

export class TimeToLive {
  private readonly deps: TimeToLiveDeps
  /** Epoch ms at which a rule goes, by key. */
  private readonly due = new Map<string, number>()
  private cancel = (): void => undefined
  private unlisten = (): void => undefined
  private isOpen = false
  private isRemoving = false

  constructor(deps: TimeToLiveDeps) {
    this.deps = deps
  }

  /** From now on this generation removes what is over. */
  open(): void {
    if (this.isOpen) return
    this.isOpen = true
    const { catalog } = this.deps
    const reset = (): void => {
      this.due.clear()
      for (const known of catalog.all()) this.take(known)
      this.wait()
    }
    this.unlisten = catalog.listen({ onChange: (change) => this.changed(change), onReset: reset })
    void catalog.heard(0).done.then(() => this.isOpen && reset())
  }

  close(): void {
    this.isOpen = false
    this.unlisten()
    this.cancel()
  }

  private changed({ type, known }: ObjectChange): void {
    if (type === 'DELETED') this.due.delete(known.key)
    else this.take(known)
    this.wait()
  }

  private take({ object, key, change, changedAt }: KnownObject): void {
    const isOurs = kindOf(object) !== undefined
    const ttlMs = isOurs ? ttlOf(object.metadata.annotations?.[ttlAnnotation]) : undefined
    if (ttlMs === undefined) this.due.delete(key)
    else this.due.set(key, Date.parse(change?.at ?? changedAt) + ttlMs)
  }

  private wait(pauseMs = 0): void {
    if (this.isRemoving) return
    this.cancel()
    let next = Number.POSITIVE_INFINITY
    for (const at of this.due.values()) if (at < next) next = at
    if (next === Number.POSITIVE_INFINITY) return
    const ms = Math.max(pauseMs, next - this.deps.clock.wall(), 0)
    this.cancel = this.deps.clock.after(ms, () => void this.remove())
  }

  private async remove(): Promise<void> {
    this.isRemoving = true
    const pauseMs = await this.removeDue()
    this.isRemoving = false
    if (this.isOpen) this.wait(pauseMs)
  }

  /** How long to wait at least before the next look, ms. */
  private async removeDue(): Promise<number> {
    const { catalog, clock, log } = this.deps
    const now = clock.wall()
    let pauseMs = 0
    for (const [key, at] of this.due) {
      if (!this.isOpen) break
      const known = at > now ? undefined : catalog.get(key)
      if (known === undefined) continue
      try {
        await this.removeOne(known)
      } catch (error) {
        pauseMs = againMs
        // somebody else was faster, and what is there then counts
        if (error instanceof ApiError && (error.status === 404 || error.status === 409)) continue
        log.warn({ rule: key }, `${key}: its time is over, and it could not be removed: ${describeError(error)}`)
      }
    }
    return pauseMs
  }

  private async removeOne({ object, revision }: KnownObject): Promise<void> {
    const { name, namespace } = object.metadata
    const kind = kindOf(object)
    if (kind === undefined) return
    await this.deps.writes.remove({
      path: { kind, version: kind.versions[0]!, namespace, name, below: undefined },
      namespace,
      name,
      by: { user: 'time to live', from: 'this node', verb: 'expire' },
      isDryRun: false,
      expected: revision,
      uid: undefined,
    })
  }
}

/** undefined: of a version that knows more. */
function kindOf({ kind }: RuleObject) {
  return apiKinds.find((one) => one.kind === kind)
}

function ttlOf(text: string | undefined): number | undefined {
  const ms = parseDuration(text)
  return ms === undefined || ms < leastMs || ms > mostMs ? undefined : ms
}
