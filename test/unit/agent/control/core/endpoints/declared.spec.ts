import { expect } from 'chai'
import { endpointId, type EndpointSet, type ServiceKey } from '../../../../../../contracts/endpoint.ts'
import { DeclaredServices, resolveEveryMs } from '../../../../../../agent/control/core/endpoints/declared.ts'
import { entrySet } from '../../../../../../agent/control/core/rules/service-entry.ts'
import type { DeclaredService } from '../../../../../../agent/control/core/rules/types.ts'
import { endpoint, recordingLog } from '../../support/fake-registry.ts'
import { manualClock } from '../../support/manual-clock.ts'

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
  it('are resolved by name again and again, and keep their last addresses while the name does not resolve', async () => {
    const clock = manualClock()
    const log = recordingLog()
    const sets: (EndpointSet | undefined)[] = []
    let answer: string[] | undefined = ['10.0.0.2', '10.0.0.1']
    let service: DeclaredService | undefined = entry('bank.example.com', 'dns')
    const declared = new DeclaredServices({
      clock,
      log,
      build: entrySet,
      resolve: () => (answer === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(answer)),
      declared: () => service,
      isNeeded: () => true,
      publish: (_key, set) => void sets.push(set),
    })
    const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
    declared.changed(key)
    await settle()
    expect(sets.at(-1)?.endpoints.map(endpointId)).to.deep.equal(['10.0.0.1:443', '10.0.0.2:443'])
    answer = undefined
    clock.advance(resolveEveryMs)
    await settle()
    expect(sets.at(-1)?.endpoints).to.have.length(2)
    expect(log.lines.at(-1)?.message).to.contain('its last addresses stay in use')
    answer = ['10.0.0.3']
    clock.advance(resolveEveryMs)
    await settle()
    expect(sets.at(-1)?.endpoints.map(endpointId)).to.deep.equal(['10.0.0.3:443'])
    service = entry('10.7.0.1', 'static')
    declared.changed(key)
    expect(sets.at(-1)?.endpoints.map(endpointId)).to.deep.equal(['10.7.0.1:443'])
    service = undefined
    declared.changed(key)
    expect(sets.at(-1)).to.equal(undefined)
    declared.close()
  })
})
