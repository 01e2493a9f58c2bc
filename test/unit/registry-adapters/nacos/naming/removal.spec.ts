import { systemClock } from '../../../../../contracts/clock.ts'
import type { Clock } from '../../../../../contracts/clock.ts'
import { expect } from 'chai'
import { MeshError } from '../../../../../contracts/errors.ts'
import type { Registration } from '../../../../../contracts/registry-adapter.ts'
import { defaultNacosTimes } from '../../../../../registry-adapters/nacos/config.ts'
import { removeInstance } from '../../../../../registry-adapters/nacos/naming/removal.ts'
import type { RemovalOutcome } from '../../../../../registry-adapters/nacos/naming/removal.ts'
import { ServerList } from '../../../../../registry-adapters/nacos/server-list/server-list.ts'
import { eventually } from '../../../../support/registry-listener.ts'

const registration: Registration = {
  service: { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' },
  address: '10.2.0.1',
  port: 21_001,
  weight: 1,
  cluster: 'DEFAULT',
  healthy: true,
  enabled: true,
  metadata: { version: 'v1' },
}
const [first, second, third] = ['10.9.0.1:8848', '10.9.0.2:8848', '10.9.0.3:8848']
const ours = { ip: '10.2.0.1', port: 21_001, weight: 1, clusterName: 'DEFAULT', metadata: { version: 'v1' } }
const neighbour = { ...ours, port: 21_002 }

/** A cluster in which each server has its own idea of what is there. */
function cluster(ids: readonly string[] = [first, second, third], syncMs = 100) {
  const lists = new Map(ids.map((id) => [id, [ours, neighbour]]))
  const calls: string[] = []
  const asked: string[] = []
  let superseded = new AbortController()
  const timers = new Set<() => void>()
  const clock: Clock = {
    ...systemClock,
    after: (ms, call) => {
      const cancel = systemClock.after(ms, () => {
        timers.delete(over)
        call()
      })
      const over = (): void => {
        timers.delete(over)
        cancel()
      }
      timers.add(over)
      return over
    },
  }
  const self = {
    calls,
    /** What waits for its time. */
    timers,
    /** Which servers the removals went to. */
    asked,
    /** What a removal does; by default it reaches everybody. */
    onRemoval: (_count: number): void => self.clear(...ids),
    onDisabled: (): void => undefined,
    onList: (_id: string): void => undefined,
    isTroubled: false,
    isInFlight: false,
    clear: (...of: string[]): void => {
      for (const id of of) lists.set(id, [neighbour])
    },
    restore: (id: string, instance = ours): void => void lists.set(id, [instance, neighbour]),
    removals: (): number => calls.filter((call) => call === 'remove').length,
    supersede: (): void => superseded.abort(),
    remove: (deadlineMs = 3000): Promise<RemovalOutcome> => {
      superseded = new AbortController()
      return removeInstance(
        { contents: [registration], isInFlight: self.isInFlight },
        {
          deadline: AbortSignal.timeout(deadlineMs),
          superseded: superseded.signal,
          closing: new AbortController().signal,
        },
        {
          servers: new ServerList(ids, 60_000, { clock: systemClock, random: Math.random, onProblem: () => undefined }),
          clock,
          times: { ...defaultNacosTimes, syncMs },
          isTroubled: () => self.isTroubled,
          onProblem: () => undefined,
          onRepeat: (remaining) => void calls.push(`repeat ${remaining.join()}`),
          naming: {
            deregister: async ({ id }) => {
              calls.push('remove')
              asked.push(id)
              self.onRemoval(self.removals())
            },
            register: async (_server, { enabled }) => {
              calls.push(enabled ? 'register' : 'register disabled')
              self.onDisabled()
            },
            list: async ({ id }) => {
              self.onList(id)
              return { hosts: lists.get(id) }
            },
          },
        },
      )
    },
  }
  return self
}

describe('removing an instance from a Nacos cluster', () => {
  it('is content with one removal when no server has the instance any more', async () => {
    const nacos = cluster()
    expect(await nacos.remove()).to.deep.equal({ kind: 'gone', removals: 1, remaining: [] })
    expect(nacos.calls).to.deep.equal(['remove'])
  })

  it('waits for servers that hear of it late, without another removal', async function () {
    this.timeout(60_000)
    const nacos = cluster(undefined, 25_000)
    nacos.onRemoval = () => nacos.clear(first)
    let looks = 0
    nacos.onList = () => {
      if (++looks === 4) nacos.clear(second, third)
    }
    expect(await nacos.remove(50_000)).to.include({ kind: 'gone', removals: 1 })
  })

  it('removes it again when a server has missed the removal', async () => {
    const nacos = cluster()
    nacos.onRemoval = (count) => nacos.clear(...(count === 1 ? [first, third] : [second]))
    expect(await nacos.remove()).to.include({ kind: 'gone', removals: 2 })
    expect(nacos.calls).to.include(`repeat ${second}`)
    expect(nacos.asked[1]).to.equal(second)
  })

  it('removes it again when a server that had lost it has it back, while servers come and go', async () => {
    const nacos = cluster()
    nacos.isTroubled = true
    let looks = 0
    nacos.onList = (id) => {
      // it starts, and loads the memory of a server that had not heard of the removal yet
      if (id === first && ++looks === 2) nacos.restore(first)
    }
    expect(await nacos.remove()).to.include({ kind: 'gone', removals: 2 })
  })

  it('watches for a while after a registration that may still arrive', async () => {
    const nacos = cluster([first])
    nacos.isInFlight = true
    let looks = 0
    nacos.onList = () => {
      if (++looks === 2) nacos.restore(first)
    }
    expect(await nacos.remove()).to.include({ kind: 'gone', removals: 2 })
  })

  it('makes the removal news, by a disabled instance, when plain ones do not reach a server', async () => {
    const nacos = cluster()
    let isNews = false
    nacos.onDisabled = () => {
      isNews = true
    }
    nacos.onRemoval = () => nacos.clear(...(isNews ? [first, second, third] : [first, second]))
    expect(await nacos.remove()).to.include({ kind: 'gone', removals: 3 })
    expect(nacos.calls.filter((call) => !call.startsWith('repeat'))).to.deep.equal([
      'remove',
      'remove',
      'register disabled',
      'remove',
    ])
  })

  it('leaves alone what somebody else has put at the address meanwhile', async () => {
    for (const change of [{ metadata: { version: 'v2' } }, { weight: 7 }]) {
      const nacos = cluster()
      nacos.onRemoval = () => {
        nacos.clear(first, second, third)
        nacos.restore(second, { ...ours, ...change } as typeof ours)
      }
      expect(await nacos.remove()).to.include({ kind: 'taken-over', removals: 1 })
    }
  })

  it('ends at its deadline and names the servers that still have it', async () => {
    const nacos = cluster()
    nacos.onRemoval = () => nacos.clear(first, third)
    const startedAt = performance.now()
    expect(await nacos.remove(500)).to.deep.include({ kind: 'remains', remaining: [second] })
    expect(performance.now() - startedAt).to.be.within(450, 2500)
  })

  it('asks nobody twice where lists are denied, and goes by those who answer where some do not', async () => {
    const nacos = cluster()
    nacos.onList = () => {
      throw new MeshError('E_REGISTRY_DENIED', 'no')
    }
    expect(await nacos.remove()).to.include({ kind: 'unseen', removals: 1 })
    nacos.onList = (id) => {
      if (id === third) throw new MeshError('E_REGISTRY_UNREACHABLE', 'away')
    }
    expect(await nacos.remove()).to.include({ kind: 'gone' })
  })

  it('repeats nothing once the same instance is wanted again', async () => {
    const nacos = cluster()
    nacos.onRemoval = () => undefined
    const removal = nacos.remove()
    await eventually(() => nacos.removals() === 1, 'the removal')
    nacos.supersede()
    expect(await removal).to.include({ kind: 'superseded', removals: 1 })
    // nothing is left that could repeat it
    expect(nacos.timers.size).to.equal(0)
    expect(nacos.removals()).to.equal(1)
  })
})
