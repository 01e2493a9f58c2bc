import { expect } from 'chai'
import { endpointId, type EndpointSet, type ServiceKey } from '../../../../../../contracts/endpoint.ts'
import { DeclaredServices, type ResolvedName } from '../../../../../../agent/control/core/endpoints/declared.ts'
import { entrySet } from '../../../../../../agent/control/core/rules/service-entry.ts'
import type { DeclaredService } from '../../../../../../agent/control/core/rules/types.ts'
import { endpoint, recordingLog } from '../../support/fake-registry.ts'
import { manualClock } from '../../../../../support/manual-clock.ts'

const key: ServiceKey = 'public/DEFAULT_GROUP@@bank.example.com'

function entry(host: string, resolution: 'static' | 'dns'): DeclaredService {
  const { address: _, ...rest } = endpoint('0.0.0.0:443')
  return {
    key,
    protocol: 'tcp',
    ports: [{ number: 80, protocol: 'tcp' }],
    resolution,
    endpoints: [{ ...rest, host }],
    origin: { kind: 'ServiceEntry', name: 'x', path: '' },
  }
}

describe('services that rules declare', () => {
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  function bench(service: () => DeclaredService | undefined, resolve: (host: string) => Promise<ResolvedName>) {
    const clock = manualClock()
    const log = recordingLog()
    const sets: (EndpointSet | undefined)[] = []
    const declared = new DeclaredServices({
      clock,
      log,
      metrics: { count: () => undefined },
      build: entrySet,
      refresh: { minRefresh: 5000, maxRefresh: 60_000 },
      resolve,
      declared: service,
      isNeeded: () => true,
      publish: (_key, set) => void sets.push(set),
    })
    const ids = (): string[] | undefined => sets.at(-1)?.endpoints.map(endpointId)
    return { clock, log, sets, declared, ids }
  }

  it('are looked up again at the end of the TTL, and keep their last addresses while the name does not resolve', async () => {
    let answer: readonly string[] | undefined = ['10.0.0.1', '10.0.0.2']
    let service: DeclaredService | undefined = entry('bank.example.com', 'dns')
    const { clock, log, sets, declared, ids } = bench(
      () => service,
      () =>
        answer === undefined
          ? Promise.reject(new Error('ENOTFOUND'))
          : Promise.resolve({ addresses: answer, ttlMs: 20_000 }),
    )
    declared.changed(key)
    await settle()
    expect(ids()).to.deep.equal(['10.0.0.1:443', '10.0.0.2:443'])
    answer = undefined
    clock.advance(19_999)
    await settle()
    expect(log.lines).to.deep.equal([])
    clock.advance(1)
    await settle()
    expect(ids()).to.have.length(2)
    expect(log.lines.at(-1)?.message).to.contain('its last addresses stay in use')
    // tried again sooner than the TTL, and said once
    clock.advance(1000)
    await settle()
    expect(log.lines).to.have.length(1)
    answer = ['10.0.0.3']
    clock.advance(2000)
    await settle()
    expect(ids()).to.deep.equal(['10.0.0.3:443'])
    expect(log.lines.at(-1)?.message).to.contain('resolves again')
    service = entry('10.7.0.1', 'static')
    declared.changed(key)
    expect(ids()).to.deep.equal(['10.7.0.1:443'])
    service = undefined
    declared.changed(key)
    expect(sets.at(-1)).to.equal(undefined)
    declared.close()
  })

  it('are not looked up more often, nor more seldom, than the bounds allow', async () => {
    let looks = 0
    let ttlMs = 0
    const { clock, declared } = bench(
      () => entry('bank.example.com', 'dns'),
      () => {
        looks++
        return Promise.resolve({ addresses: ['10.0.0.1'], ttlMs })
      },
    )
    declared.changed(key)
    await settle()
    clock.advance(4999)
    await settle()
    expect(looks).to.equal(1)
    ttlMs = 3_600_000
    clock.advance(1)
    await settle()
    expect(looks).to.equal(2)
    clock.advance(60_000)
    await settle()
    expect(looks).to.equal(3)
    declared.close()
  })

  it('of several names are used as soon as one of them resolves; a name that hangs keeps nobody waiting', async () => {
    const service = entry('quick.example.com', 'dns')
    const slow = { ...service.endpoints[0]!, host: 'slow.example.com' }
    let say: (found: ResolvedName) => void = () => undefined
    const { declared, ids } = bench(
      () => ({ ...service, endpoints: [...service.endpoints, slow] }),
      (host) =>
        host === 'quick.example.com'
          ? Promise.resolve({ addresses: ['10.0.0.1'], ttlMs: 1000 })
          : new Promise((resolve) => (say = resolve)),
    )
    declared.changed(key)
    await settle()
    expect(ids()).to.deep.equal(['10.0.0.1:443'])
    say({ addresses: ['10.0.0.2'], ttlMs: 1000 })
    await settle()
    expect(ids()).to.deep.equal(['10.0.0.1:443', '10.0.0.2:443'])
    declared.close()
  })

  it('that never resolve are said to have no endpoint, so that callers are answered', async () => {
    const { declared, sets, ids } = bench(
      () => entry('nowhere.example.com', 'dns'),
      () => Promise.reject(new Error('SERVFAIL')),
    )
    declared.changed(key)
    await settle()
    expect(sets).to.have.length(1)
    expect(ids()).to.deep.equal([])
    declared.close()
  })
})
