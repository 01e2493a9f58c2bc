import { expect } from 'chai'
import { endpointAt } from '../../../../contracts/endpoint.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResource,
  encodeResponse,
  typeUrls,
} from '../../../../registry-adapters/center/wire/delta.ts'
import { decodeAssignment, encodeAssignment } from '../../../../registry-adapters/center/wire/load-assignment.ts'
import { decodeRules, encodeRules } from '../../../../registry-adapters/center/wire/service-rules.ts'
import { seededRandom } from '../../../support/seeded-random.ts'

const name = 'public/DEFAULT_GROUP@@orders'
const endpoints = [
  endpointAt('10.0.0.1', 80, { weight: 0.5, version: 'v2', metadata: { team: 'a', empty: '' }, cluster: 'c' }),
  endpointAt('10.0.0.2', 65_535, { weight: 0, healthy: false, enabled: false, ephemeral: false }),
  endpointAt('::1', 1, { locality: { region: 'bj', zone: 'bj-1' } }),
]
const rules = [
  { name: 'VirtualService shop/orders', text: '{"kind":"VirtualService"}' },
  { name: 'MeshPolicy shop/all', text: '{"kind":"MeshPolicy","über":1}' },
]

describe('what passes between a center and an agent', () => {
  it('comes back as it was: requests, responses, endpoints and rules', () => {
    const request = {
      node: 'host-1',
      typeUrl: typeUrls.endpoints,
      subscribe: [name, 'b'],
      unsubscribe: ['c'],
      initialVersions: new Map([[name, 'v1']]),
      nonce: '7',
      error: 'why',
    }
    expect(decodeRequest(encodeRequest(request))).to.deep.include(request)
    const value = encodeAssignment(name, { endpoints, protectThreshold: 0.5 })
    const resource = encodeResource({ name, version: 'v1', value }, typeUrls.endpoints)
    const response = decodeResponse(encodeResponse(typeUrls.endpoints, '7', [resource.bytes], ['gone']))
    expect(response).to.deep.include({ typeUrl: typeUrls.endpoints, nonce: '7', removed: ['gone'] })
    expect(response.resources[0]).to.include({ name, version: 'v1' })
    expect(decodeAssignment(response.resources[0]!.value)).to.deep.equal({ endpoints, protectThreshold: 0.5 })
    expect(decodeRules(encodeRules(rules))).to.deep.equal(rules)
    expect(decodeRules(encodeRules([]))).to.deep.equal([])
  })

  it('is refused when it is damaged, never more than a RangeError', () => {
    const random = seededRandom(3)
    const originals = [
      encodeAssignment(name, { endpoints, protectThreshold: 0 }),
      encodeRules(rules),
      encodeRequest({ typeUrl: typeUrls.rules, subscribe: [name], initialVersions: new Map([['a', 'b']]) }),
      encodeResponse(
        typeUrls.rules,
        '1',
        [encodeResource({ name, version: '1', value: encodeRules(rules) }, 'x').bytes],
        [],
      ),
    ]
    for (let round = 0; round < 4000; round++) {
      const bytes = Buffer.from(originals[round % originals.length]!)
      for (let change = 0; change < 3; change++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      const damaged = bytes.subarray(0, 1 + Math.floor(random() * bytes.length))
      for (const read of [decodeAssignment, decodeRules, decodeRequest, decodeResponse]) {
        try {
          read(damaged)
        } catch (error) {
          expect(error).to.be.instanceOf(RangeError)
        }
      }
    }
  })
})
