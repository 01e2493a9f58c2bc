/**
 * A registry in a process of its own: what a stand-in does, and the client that writes to a real one, takes no time of
 * the loop that measures.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { RegistriesOptions, RegistryKind } from '../../test/support/registries/every-kind.ts'
import type { Instance, RunningRegistry } from '../../test/support/registries/running-registry.ts'

export type ToRegistry = { readonly id: number } & (
  | { readonly type: 'open'; readonly kind: RegistryKind; readonly options: RegistriesOptions }
  | { readonly type: 'put'; readonly service: string; readonly instance: Instance }
  | { readonly type: 'section'; readonly port: number }
  | { readonly type: 'kill' | 'restart' | 'stop' }
)

/** Each question has one answer; `value` as its type wants it, `failure` in its place; `at` as `takenAt`. */
export interface FromRegistry {
  readonly id: number
  readonly at: number
  readonly value?: unknown
  readonly failure?: string
}

export interface ApartRegistry extends RunningRegistry {
  /** When it had taken the last instance, by the clock of `process.hrtime`, which all processes share; ms. */
  readonly takenAt: number
}

export type Opened = Pick<RunningRegistry, 'name' | 'what' | 'port' | 'section' | 'isPushing'>

type Question<T = ToRegistry> = T extends ToRegistry ? Omit<T, 'id'> : never

export async function openApart(kind: RegistryKind, options: RegistriesOptions): Promise<ApartRegistry> {
  const child = fork(new URL('./apart-main.ts', import.meta.url), { serialization: 'advanced' })
  const open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  let last = 0
  let takenAt = 0
  const ended = once(child, 'exit').then(() => {
    for (const { reject } of open.values()) reject(new Error(`${kind}: the process of the registry ended`))
  })
  child.on('message', (message) => {
    const { at, failure, id, value } = message as FromRegistry
    takenAt = at
    if (failure === undefined) open.get(id)?.resolve(value)
    else open.get(id)?.reject(new Error(`${kind}: ${failure}`))
    open.delete(id)
  })
  const ask = (question: Question): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++last
      open.set(id, { resolve, reject })
      child.send({ ...question, id }, (error) => {
        if (error !== null) reject(error)
      })
    })
  const order = async (type: 'kill' | 'restart'): Promise<void> => void (await ask({ type }))
  const opened = (await ask({ type: 'open', kind, options })) as Opened
  return {
    ...opened,
    get takenAt() {
      return takenAt
    },
    what: `${opened.what}, in a process of its own`,
    sectionBy: async (port) => (await ask({ type: 'section', port })) as object,
    put: async (service, instance) => void (await ask({ type: 'put', service, instance })),
    kill: () => order('kill'),
    restart: () => order('restart'),
    stop: async () => {
      await ask({ type: 'stop' })
      child.disconnect()
      await ended
    },
  }
}
